// Turns are stored faster than Temporal starts them: none is refused, and the backlog that is left drains to zero.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ledgerGoal, withDatabase } from '../database.mjs'
import { goal, rounded } from '../figures.mjs'
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
  const row = {
    target: 'POST /v1/agent-turns',
    offered_per_second: RATE,
    accepted_per_second: rounded(accepted),
    p50_ms: rounded(load.p50_ms),
    p99_ms: rounded(load.p99_ms),
    refused: load.errors,
    backlog: drain.backlog,
    drained_in_s: rounded(drain.seconds),
    drained_per_second: rounded((drain.backlog - drain.left) / drain.seconds),
    ended_per_second: rounded((drain.turns - drain.left) / (seconds + drain.seconds)),
    ...peaks,
  }
  const goals = [
    goal('accepted turns/s: at least 200', accepted, { least: 200 }),
    goal('p99 of the reply: under 250 ms', load.p99_ms, { below: 250 }),
    goal('refused: none', load.errors, { below: 1 }),
    goal('left of the backlog: none', drain.left, { below: 1 }),
    goal('turns that did not complete: none', drain.turns - drain.completed, { below: 1 }),
    ledger,
  ]
  return { rows: [row], goals }
}
