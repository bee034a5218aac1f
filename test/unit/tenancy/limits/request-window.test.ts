import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { sliceOf } from '../../../../domain/tenancy/limits/lease.rules.ts'
import { exchangeRequests, type RequestWindow } from '../../../../domain/tenancy/limits/request-window.rules.ts'
import { Processes } from './processes.ts'

const step = fc.record({
  process: fc.nat(3),
  calls: fc.oneof(fc.nat(3), fc.nat(120)),
  meanwhile: fc.nat(5),
  thenMs: fc.oneof(fc.nat(50), fc.nat(3_000), fc.nat(40_000)),
})
const limits = fc.oneof(fc.integer({ min: 1, max: 25 }), fc.integer({ min: 1, max: 400 }))

test.each([
  [1, 1, 0],
  [19, 1, 0],
  [20, 1, 1],
  [600, 1, 30],
  [600, 2, 30],
  [600, 3, 20],
  [600, 10, 6],
  [600, 61, 0],
])('of a limit of %i, %i holders have at most %i each', (limit, holders, size) => {
  expect(sliceOf(limit, holders)).toBe(size)
})

test('a slice is at most 5% of the limit, and all of them at most 10%', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1_000_000 }), fc.integer({ min: 1, max: 100 }), (limit, holders) => {
      const size = sliceOf(limit, holders)
      expect(size).toBeLessThanOrEqual(limit / 20)
      expect(size * holders).toBeLessThanOrEqual(limit / 10)
    }),
  )
})

describe('whatever calls come at which of several processes, and whichever die', () => {
  test('no minute has more than the limit', () => {
    fc.assert(
      fc.property(
        limits,
        fc.integer({ min: 1, max: 4 }),
        fc.array(fc.record({ step, dies: fc.nat(9).map(n => n === 0) }), { maxLength: 25 }),
        (limit, count, steps) => {
          const processes = new Processes(limit, count)
          for (const { step, dies } of steps) {
            for (let call = 0; call < step.calls; call += 1) processes.call(step.process, step.meanwhile)
            if (dies) processes.kill(step.process)
            processes.pass(step.thenMs)
          }
          expect(processes.mostInAWindow()).toBeLessThanOrEqual(limit)
          expect(processes.mostGranted).toBeLessThanOrEqual(Math.max(1, limit / 20))
        },
      ),
      { numRuns: 300 },
    )
  })

  test('none is refused before nine tenths of the limit are admitted, where none died', () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 25 }), (limit, count, steps) => {
        const processes = new Processes(limit, count)
        for (const { process, calls, meanwhile, thenMs } of steps) {
          for (let call = 0; call < calls; call += 1) {
            if (processes.call(process, meanwhile).retryAfterSeconds === undefined) continue
            // A use is reported within three seconds; what came free is looked for after a second.
            expect(processes.admittedWithin(64_000)).toBeGreaterThanOrEqual(limit * 0.9)
          }
          processes.pass(thenMs)
        }
      }),
      { numRuns: 300 },
    )
  })

  test('who comes again after the time it was told is admitted, where nobody else came', () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 15 }), (limit, count, steps) => {
        const processes = new Processes(limit, count)
        for (const { process, calls, thenMs } of steps) {
          for (let call = 0; call < calls; call += 1) processes.call(process)
          processes.pass(thenMs)
        }
        for (let call = 0; call < limit; call += 1) processes.call(0)
        const { retryAfterSeconds } = processes.call(0)
        expect(retryAfterSeconds).toBeGreaterThanOrEqual(1)
        expect(retryAfterSeconds).toBeLessThanOrEqual(70)
        processes.pass((retryAfterSeconds ?? 0) * 1_000)
        expect(processes.call(0)).not.toHaveProperty('retryAfterSeconds')
      }),
      { numRuns: 200 },
    )
  })
})

test('slices that were given while there were fewer holders are no excuse: all that is held stays within a tenth', () => {
  fc.assert(
    fc.property(fc.integer({ min: 20, max: 2_000 }), fc.array(fc.nat(7), { maxLength: 30 }), (limit, holders) => {
      let window: RequestWindow = { used: [], held: {} }
      for (const [index, holder] of holders.entries()) {
        const exchange = { holder: `p${holder}`, limit, spent: 0, kept: 0, wantsMore: true, nowMs: 1_000_000 + index }
        const { requests: kept = 0 } = window.held[exchange.holder] ?? {}
        window = exchangeRequests(window, { ...exchange, kept }).state
        const held = Object.values(window.held).reduce((sum, one) => sum + one.requests, 0)
        expect(held).toBeLessThanOrEqual(limit / 10)
      }
    }),
  )
})

describe('in the course of a minute', () => {
  test('a spent limit costs a look a second, not one a call', () => {
    const processes = new Processes(600, 1)
    for (let call = 0; call < 700; call += 1) processes.call(0)
    const spentAfter = processes.exchanges
    for (let tenth = 0; tenth < 100; tenth += 1) {
      for (let call = 0; call < 50; call += 1) processes.call(0)
      processes.pass(100)
    }
    expect(processes.exchanges - spentAfter).toBeLessThanOrEqual(11)
  })

  test('what a dead process held comes back', () => {
    const processes = new Processes(100, 2)
    processes.call(1)
    processes.kill(1)
    for (let call = 0; call < 120; call += 1) processes.call(0)
    expect(processes.admittedAtMs).toHaveLength(96)
    processes.pass(71_000)
    for (let call = 0; call < 120; call += 1) processes.call(0)
    expect(processes.admittedAtMs).toHaveLength(196)
  })

  test('what an idle process held comes back sooner', () => {
    const processes = new Processes(100, 2)
    processes.call(1)
    processes.pass(40_000)
    for (let call = 0; call < 120; call += 1) processes.call(0)
    expect(processes.admittedAtMs).toHaveLength(100)
  })

  test('a limit that was lowered refuses until enough has left the window', () => {
    const held = {}
    const window = {
      used: [
        [0, 5],
        [10_000, 5],
      ] as [number, number][],
      held,
    }
    const ask = { holder: 'p', limit: 4, spent: 0, kept: 0, wantsMore: true, nowMs: 20_000 }
    const { grant } = exchangeRequests(window, ask)
    expect(grant).toMatchObject({ granted: 0, free: 0, moreInMs: 50_000, allInMs: 50_000 })
  })

  test('a report that is heard twice counts twice rather than never', () => {
    const report = { holder: 'p', limit: 100, spent: 3, kept: 2, wantsMore: false, nowMs: 1_000 }
    const once = exchangeRequests({ used: [], held: { p: { requests: 5, atMs: 0 } } }, report)
    expect(once.grant.free).toBe(95)
    expect(exchangeRequests(once.state, report).grant.free).toBe(92)
  })
})
