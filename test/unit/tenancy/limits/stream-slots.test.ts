import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { exchangeSlots, type StreamSlots } from '../../../../domain/tenancy/limits/stream-slots.rules.ts'

const LEASE_MS = 30_000
const ask = { limit: 3, kept: 0, wantsMore: true, leaseMs: LEASE_MS, nowMs: 0 }

test('all processes together never hold more than the limit, and the last free one is had', () => {
  const step = fc.record({ holder: fc.constantFrom('a', 'b', 'c'), gives: fc.boolean() })
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 60 }), fc.array(step, { maxLength: 200 }), (limit, steps) => {
      const kept: Record<string, number> = { a: 0, b: 0, c: 0 }
      let state: StreamSlots = { held: {} }
      for (const { holder, gives } of steps) {
        const mine = Math.max(0, (kept[holder] ?? 0) - (gives ? 1 : 0))
        const before = Object.values({ ...kept, [holder]: mine }).reduce((sum, slots) => sum + slots)
        const next = exchangeSlots(state, { ...ask, holder, limit, kept: mine, wantsMore: !gives })
        state = next.state
        kept[holder] = mine + next.grant.granted
        expect(before + next.grant.granted).toBeLessThanOrEqual(limit)
        expect(next.grant.granted > 0).toBe(!gives && before < limit)
        expect(next.grant.granted).toBeLessThanOrEqual(1 + limit / 20)
      }
    }),
  )
})

test('a process that does not renew loses its slots, one that does keeps them', () => {
  const full = exchangeSlots({ held: {} }, { ...ask, holder: 'a', kept: 3, wantsMore: false })
  const soon = exchangeSlots(full.state, { ...ask, holder: 'b', nowMs: LEASE_MS - 1 })
  expect(soon.grant.granted).toBe(0)
  const late = exchangeSlots(full.state, { ...ask, holder: 'b', nowMs: LEASE_MS })
  expect(late.grant.granted).toBe(1)
  const renewed = exchangeSlots(full.state, { ...ask, holder: 'a', kept: 3, wantsMore: false, nowMs: LEASE_MS - 1 })
  expect(exchangeSlots(renewed.state, { ...ask, holder: 'b', nowMs: LEASE_MS }).grant.granted).toBe(0)
})

test('what is open is never taken away, though the limit was lowered or others took its place', () => {
  const { state } = exchangeSlots({ held: {} }, { ...ask, holder: 'b', kept: 3, wantsMore: false })
  const back = exchangeSlots(state, { ...ask, holder: 'a', kept: 2, limit: 1 })
  expect(back.grant.granted).toBe(0)
  expect(back.state.held['a']).toEqual({ slots: 2, untilMs: LEASE_MS })
})
