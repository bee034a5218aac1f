import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createFairGate, type FairGate, type Release } from '../../../infra/fair-gate.ts'
import { settled } from '../fixtures.ts'

const never = new AbortController().signal

/** Asks for a slot; tells of it by name when it is had. */
function ask(gate: FairGate, tenant: string, name: string, had: string[]): Promise<Release> {
  return gate.acquire(tenant, never).then(release => {
    had.push(name)
    return release
  })
}

/** Gives slots back one by one as they are had, until none comes. */
async function serveAll(waiting: Promise<Release>[]): Promise<void> {
  for (const slot of waiting) void slot.then(release => release())
  await Promise.all(waiting)
}

describe('turns', () => {
  test.each<[string, number, string, string]>([
    ['first come, first served within a tenant', 1, 'a1 a2 a3', 'a1 a2 a3'],
    ['two tenants alternate', 1, 'a1 a2 a3 b1 b2 b3', 'a1 b1 a2 b2 a3 b3'],
    ['who asks for one does not wait for who asks for many', 1, 'a1 a2 a3 a4 a5 b1', 'a1 b1 a2 a3 a4 a5'],
    ['three tenants', 1, 'a1 a2 b1 b2 c1 c2', 'a1 b1 c1 a2 b2 c2'],
  ])('%s', async (_what, slots, asked, expected) => {
    const gate = createFairGate(slots)
    const had: string[] = []
    const first = await gate.acquire('someone', never)
    const waiting = asked.split(' ').map(name => ask(gate, name[0] ?? '', name, had))
    first()
    await serveAll(waiting)
    expect(had.join(' ')).toBe(expected)
  })

  test('a tenant that was just served goes behind the others', async () => {
    const gate = createFairGate(1)
    const had: string[] = []
    const first = await gate.acquire('a', never)
    const waiting = [ask(gate, 'a', 'a1', had), ask(gate, 'b', 'b1', had), ask(gate, 'a', 'a2', had)]
    first()
    const release = await waiting[0]
    waiting.push(ask(gate, 'c', 'c1', had))
    release?.()
    await serveAll(waiting)
    expect(had).toEqual(['a1', 'b1', 'a2', 'c1'])
  })
})

describe('slots', () => {
  test('no more are out than there are', async () => {
    const gate = createFairGate(2)
    const had: string[] = []
    const waiting = ['a1', 'a2', 'a3', 'b1'].map(name => ask(gate, name[0] ?? '', name, had))
    await settled()
    expect(had).toEqual(['a1', 'a2'])
    ;(await waiting[0])?.()
    await settled()
    expect(had).toHaveLength(3)
  })

  test('giving one back twice gives one', async () => {
    const gate = createFairGate(1)
    const had: string[] = []
    const release = await gate.acquire('a', never)
    release()
    release()
    void ask(gate, 'a', 'a1', had)
    void ask(gate, 'a', 'a2', had)
    await settled()
    expect(had).toEqual(['a1'])
  })
})

describe('aborting', () => {
  test('before asking rejects with the reason and takes no slot', async () => {
    const gate = createFairGate(1)
    await expect(gate.acquire('a', AbortSignal.abort(new Error('gone')))).rejects.toThrow('gone')
    await expect(gate.acquire('a', never)).resolves.toBeInstanceOf(Function)
  })

  test('while waiting rejects, and the next in line is served', async () => {
    const gate = createFairGate(1)
    const had: string[] = []
    const release = await gate.acquire('a', never)
    const controller = new AbortController()
    const isReleased = gate.acquire('b', controller.signal)
    const next = ask(gate, 'b', 'b2', had)
    controller.abort(new Error('cancelled'))
    await expect(isReleased).rejects.toThrow('cancelled')
    release()
    await next
    expect(had).toEqual(['b2'])
  })

  test('after a slot was had changes nothing', async () => {
    const gate = createFairGate(1)
    const controller = new AbortController()
    const release = await gate.acquire('a', controller.signal)
    controller.abort(new Error('late'))
    release()
    await expect(gate.acquire('a', never)).resolves.toBeInstanceOf(Function)
  })
})

test('whatever is asked, aborted and given back, no slot is lost and none is made', async () => {
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('enter' as const), which: fc.constantFrom(0, 1, 2) }) },
    { weight: 3, arbitrary: fc.record({ kind: fc.constant('leave' as const), which: fc.nat(20) }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('abort' as const), which: fc.nat(20) }) },
  )
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 4 }), fc.array(step, { maxLength: 60 }), async (slots, steps) => {
      const gate = createFairGate(slots)
      const waiting = new Set<AbortController>()
      const held: Release[] = []
      for (const { kind, which } of steps) {
        if (kind === 'enter') {
          const controller = new AbortController()
          waiting.add(controller)
          gate.acquire(`tenant ${which}`, controller.signal).then(
            release => held.push(release) && waiting.delete(controller),
            () => waiting.delete(controller),
          )
        }
        if (kind === 'leave') held.splice(which % (held.length || 1), 1)[0]?.()
        if (kind === 'abort') [...waiting][which % (waiting.size || 1)]?.abort(new Error('left'))
        await settled()
        // No slot is free while somebody waits.
        const least = waiting.size > 0 ? slots : 0
        expect(held.length >= least && held.length <= slots).toBe(true)
      }
    }),
    { numRuns: 100 },
  )
})
