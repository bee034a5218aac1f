import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createByteBudget } from '../../../infra/byte-budget.ts'

const MOST = 1_000

test('a tenant alone may hold half, and a newcomer finds room behind it', () => {
  const budget = createByteBudget(MOST)
  const taken = Array.from({ length: 10 }, () => budget.take('a', 100))
  expect(taken.filter(release => release !== undefined)).toHaveLength(5)
  expect(budget.take('b', 200)).toBeDefined()
  expect(budget.heldBytes).toBe(700)
})

test('who holds nothing may take all that is left, and nobody more', () => {
  const budget = createByteBudget(MOST)
  expect(budget.take('a', 800)).toBeDefined()
  expect(budget.take('b', 300)).toBeUndefined()
  expect(budget.take('b', 200)).toBeDefined()
  expect(budget.take('c', 1)).toBeUndefined()
})

test('what is given back is free again, once', () => {
  const budget = createByteBudget(MOST)
  const release = budget.take('a', MOST)
  release?.()
  release?.()
  expect(budget.heldBytes).toBe(0)
  expect(budget.take('b', MOST)).toBeDefined()
})

test('no order of taking and giving back holds more than there is, or less than nothing', () => {
  const step = fc.record({ tenant: fc.constantFrom('a', 'b', 'c'), bytes: fc.nat(MOST), gives: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step), steps => {
      const budget = createByteBudget(MOST)
      const releases: (() => void)[] = []
      for (const { tenant, bytes, gives } of steps) {
        if (gives) releases.pop()?.()
        else releases.push(budget.take(tenant, bytes) ?? (() => undefined))
        expect(budget.heldBytes).toBeGreaterThanOrEqual(0)
        expect(budget.heldBytes).toBeLessThanOrEqual(MOST)
      }
      releases.forEach(release => release())
      expect(budget.heldBytes).toBe(0)
    }),
  )
})
