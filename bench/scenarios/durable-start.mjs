// Turns are stored faster than Temporal starts them: none is refused, and the backlog that is left drains to zero.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ledgerGoal, withDatabase } from '../database.mjs'
import { rounded } from '../figures.mjs'
import { runLoad } from '../load.mjs'
import { watchMemory } from '../memory.mjs'

export const title = 'Durable start: POST /v1/agent-turns, open loop'

const RATE = 220
const SECONDS = 30
const QUICK_SECONDS = 5
const CONNECTIONS = 64
const LOOK_EVERY_MS = 500
/** A backlog that does not move for so long will not. */
const STUCK_MS = 60_000
const TURN = { deltas: 5, everyMs: 0 }

export async function run({ mockUrl, quick, log, startStack }) {
  const stack = await startStack(mockUrl)
  const memory = watchMemory(stack.pids)
  try {
    const seconds = quick ? QUICK_SECONDS : SECONDS
    const load = await startTurns(stack, seconds)
    log(`${load.requests_with_warmup} turns accepted, ${load.errors} refused; waiting for the backlog`)
    if (load.first_error !== null) log(`first refusal: ${load.first_error}`)
    const drain = await withDatabase(stack, db => drained(db, log))
    const ledger = await ledgerGoal(stack, log)
    return report({ load, seconds, drain, ledger, peaks: memory.stop() })
  } finally {
    memory.stop()
    await stack.stop()
  }
}

async function startTurns({ url, key, model }, seconds) {
  const folder = await mkdtemp(join(tmpdir(), 'ipop-bench-turn-'))
  const body = join(folder, 'body.json')
  const messages = [{ role: 'user', content: JSON.stringify(TURN) }]
  try {
    await writeFile(body, JSON.stringify({ model, messages, max_completion_tokens: 100 }))
    const options = { url, key, body, seconds, rate: RATE, connections: CONNECTIONS }
    return await runLoad({ ...options, path: '/agent-turns', contains: '"agent_turn"' })
  } finally {
    await rm(folder, { recursive: true })
  }
}

/** Until every turn has ended: how many were waiting, for how long from now, and how they ended. */
async function drained(db, log) {
  const startedMs = performance.now()
  const first = await counts(db)
  let last = { open: first.open, atMs: startedMs }
  for (;;) {
    const { open } = await counts(db)
    const nowMs = performance.now()
    if (open < last.open) last = { open, atMs: nowMs }
    if (open === 0 || nowMs - last.atMs > STUCK_MS) break
    await delay(LOOK_EVERY_MS)
  }
  const seconds = (last.atMs - startedMs) / 1000
  log(`backlog ${first.open} -> ${last.open} in ${rounded(seconds)} s`)
  return { backlog: first.open, left: last.open, seconds, ...(await counts(db)) }
}

async function counts(db) {
  const { rows } = await db.query(
    `SELECT count(*) AS turns, count(*) FILTER (WHERE ended_at IS NULL) AS open,
       count(*) FILTER (WHERE lifecycle = 'completed') AS completed FROM agent_turns`,
  )
  return rows[0]
}

function report({ load, seconds, drain, ledger, peaks }) {
  const accepted = load.requests_with_warmup / seconds
  const drainRate = drain.seconds === 0 ? 0 : (drain.backlog - drain.left) / drain.seconds
  const row = {
    target: 'POST /v1/agent-turns',
    'offered/s': RATE,
    'accepted/s': rounded(accepted),
    'p50 ms': rounded(load.p50_ms),
    'p99 ms': rounded(load.p99_ms),
    refused: load.errors,
    backlog: drain.backlog,
    'drained in s': rounded(drain.seconds),
    'drained turns/s': rounded(drainRate),
    'completed turns/s': rounded(drain.completed / (seconds + drain.seconds)),
    ...Object.fromEntries(Object.entries(peaks).map(([name, mb]) => [`${name} peak MB`, rounded(mb, 0)])),
  }
  const goals = [
    { goal: 'at least 200 accepted turns/s', value: row['accepted/s'], met: accepted >= 200 },
    { goal: 'p99 of the reply under 250 ms', value: row['p99 ms'], met: load.p99_ms < 250 },
    { goal: 'nothing refused', value: load.errors, met: load.errors === 0 },
    { goal: 'the backlog drains to zero', value: drain.left, met: drain.left === 0 },
    { goal: 'every turn completed', value: `${drain.completed} of ${drain.turns}`, met: drain.completed === drain.turns },
    ledger,
  ]
  return { rows: [row], goals }
}
