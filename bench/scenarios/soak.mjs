// Ten minutes of everything at once: the memory of each process must be flat when they are over.
import { ledgerGoal } from '../database.mjs'
import { goal, median, megabytes, rounded } from '../figures.mjs'
import { runLoad } from '../load.mjs'
import { sampleMemory } from '../memory.mjs'

export const title = 'Soak: chats, streams and turns for ten minutes'

const SECONDS = 600
const QUICK_SECONDS = 15
/** Pools, compiled code and the workers' caches are grown by then: turns come faster than later. */
const WARM_SHARE = 0.1
const WARM_TURNS_PER_SECOND = 25
const LOOK_EVERY_MS = 1_000
const TURN = JSON.stringify({ deltas: 5, everyMs: 0 })
const TURNS = { path: '/agent-turns', content: TURN, contains: '"agent_turn"', rate: 5, connections: 4 }
const LOADS = {
  chats: { connections: 16 },
  streams: { stream: true, connections: 16 },
  turns: TURNS,
}

export async function run({ mockUrl, seconds: asked = SECONDS, quick, log, startStack }) {
  const seconds = quick ? QUICK_SECONDS : asked
  const stack = await startStack(mockUrl)
  try {
    const ask = { url: stack.url, key: stack.key }
    log(`${Object.keys(LOADS).join(', ')} for ${seconds} s`)
    await runAll({ ...LOADS, turns: { ...TURNS, rate: WARM_TURNS_PER_SECOND } }, ask, seconds * WARM_SHARE)
    const sampled = sampleMemory(stack.pids, LOOK_EVERY_MS)
    const reports = await runAll(LOADS, ask, seconds)
    const rows = Object.entries(sampled.stop()).map(memoryRow)
    return {
      rows: [...rows, ...reports.map(loadRow)],
      goals: [...goalsOf(rows, reports), await ledgerGoal(stack, log)],
    }
  } finally {
    await stack.stop()
  }
}

const runAll = (loads, ask, seconds) =>
  Promise.all(Object.entries(loads).map(async ([name, load]) => [name, await runLoad({ ...ask, ...load, seconds })]))

/** The middle of the first third, of the last third, and the peak. */
function memoryRow([target, bytes]) {
  const third = Math.floor(bytes.length / 3)
  const [first, last] = [median(bytes.slice(0, third)), median(bytes.slice(-third))]
  return {
    target,
    first_third_mb: megabytes(first),
    last_third_mb: megabytes(last),
    growth: rounded(last / first),
    peak_mb: megabytes(Math.max(...bytes)),
  }
}

const loadRow = ([target, report]) => ({
  target,
  requests_per_second: rounded(report.requests_per_second),
  p50_ms: rounded(report.p50_ms),
  p99_ms: rounded(report.p99_ms),
  errors: report.errors,
})

function goalsOf(rows, reports) {
  const [api] = rows
  const errors = reports.reduce((sum, [, report]) => sum + report.errors, 0)
  return [
    ...rows.map(row => goal(`${row.target}, last third beside the first: under 1.1x`, row.growth, { below: 1.1 })),
    goal('peak memory of the API process: under 200 MB', api.peak_mb, { below: 200 }),
    goal('replies that were wrong: none', errors, { below: 1 }),
  ]
}
