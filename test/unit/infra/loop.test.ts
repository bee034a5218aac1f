import { expect, test } from '@jest/globals'
import { createLoop, type Loop } from '../../../infra/loop.ts'
import { deferred, settled, silent } from '../fixtures.ts'

const HOURLY_MS = 3_600_000

/** A loop whose turns end when told. */
function heldLoop(everyMs = HOURLY_MS) {
  const turns: ReturnType<typeof deferred<boolean>>[] = []
  const loop = createLoop({
    name: 'test',
    everyMs,
    log: silent,
    turn: () => {
      const turn = deferred<boolean>()
      turns.push(turn)
      return turn.promise
    },
  })
  const end = async (index: number, more = false) => {
    turns[index]?.resolve(more)
    await settled()
  }
  return { loop, turns, end }
}

const stopAfter = async (loop: Loop, work: () => Promise<void>) => {
  try {
    await work()
  } finally {
    await loop.stop()
  }
}

test('begins at once, and rests after a turn', async () => {
  const { loop, turns, end } = heldLoop()
  await stopAfter(loop, async () => {
    expect(turns).toHaveLength(1)
    await end(0)
    expect(turns).toHaveLength(1)
  })
})

test('goes on at once where there is more', async () => {
  const { loop, turns, end } = heldLoop()
  await stopAfter(loop, async () => {
    await end(0, true)
    await end(1, true)
    expect(turns).toHaveLength(3)
    await end(2)
    expect(turns).toHaveLength(3)
  })
})

test('a wake-up while resting begins a turn now', async () => {
  const { loop, turns, end } = heldLoop()
  await stopAfter(loop, async () => {
    await end(0)
    loop.wake()
    expect(turns).toHaveLength(2)
    await end(1)
  })
})

test('wake-ups during a turn are one more turn after it, never two at a time', async () => {
  const { loop, turns, end } = heldLoop()
  await stopAfter(loop, async () => {
    loop.wake()
    loop.wake()
    await settled()
    expect(turns).toHaveLength(1)
    await end(0)
    expect(turns).toHaveLength(2)
    await end(1)
    expect(turns).toHaveLength(2)
  })
})

test('no wake-up is lost in the moments around the end of a turn', async () => {
  for (let ticks = 0; ticks <= 8; ticks += 1) {
    const { loop, turns, end } = heldLoop()
    turns[0]?.resolve(false)
    for (let tick = 0; tick < ticks; tick += 1) await Promise.resolve()
    loop.wake()
    await settled()
    expect([ticks, turns.length]).toEqual([ticks, 2])
    await end(1)
    await loop.stop()
  }
})

test('a turn that fails comes again: in time, and at once where it was woken', async () => {
  let turns = 0
  const failing = createLoop({
    name: 'test',
    everyMs: 1,
    log: silent,
    turn: async () => {
      turns += 1
      if (turns === 1) throw new Error('boom')
      if (turns === 2) failed.resolve()
      return false
    },
  })
  const failed = deferred<void>()
  await failed.promise
  await failing.stop()

  const { loop, turns: held } = heldLoop()
  loop.wake()
  held[0]?.reject(new Error('boom'))
  await settled()
  expect(held).toHaveLength(2)
  held[1]?.resolve(false)
  await loop.stop()
})

test('comes again every so often', async () => {
  const third = deferred<void>()
  let turns = 0
  const loop = createLoop({
    name: 'test',
    everyMs: 1,
    log: silent,
    turn: () => {
      turns += 1
      if (turns === 3) third.resolve()
      return Promise.resolve(false)
    },
  })
  await third.promise
  await loop.stop()
  expect(turns).toBeGreaterThanOrEqual(3)
})

test('stopping waits for the turn under way, and none begins after', async () => {
  const { loop, turns, end } = heldLoop(1)
  let stopped = false
  const stopping = loop.stop().then(() => (stopped = true))
  loop.wake()
  await settled()
  expect(stopped).toBe(false)
  await end(0, true)
  await stopping
  loop.wake()
  await settled()
  expect(turns).toHaveLength(1)
})

test('stopping while it rests is at once', async () => {
  const { loop, turns, end } = heldLoop()
  await end(0)
  await loop.stop()
  loop.wake()
  expect(turns).toHaveLength(1)
})
