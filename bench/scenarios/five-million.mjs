// Whether it stays as fast with millions of calls of one owner: lists and totals of them, and the next call's own cost.
import { ledgerGoal } from '../database.mjs'
import { goal, median, ratio, rounded } from '../figures.mjs'
import { historyQueries, timed } from '../history-queries.mjs'
import { alternate, cpuMs } from '../rounds.mjs'
import { startSeededStack } from '../seeded-stack.mjs'

export const title = 'Five million calls of one owner: usage, history, growth'

const CALLS = { count: 5_000_000, days: 60 }
const QUICK_CALLS = { count: 200_000, days: 60 }
const REQUESTS = 200
const SECONDS = 5
const CONNECTIONS = 32

export async function run(context) {
  const seeded = await startSeededStack(context, context.quick ? QUICK_CALLS : CALLS)
  try {
    const queries = await queriesOf(seeded, context)
    const { rows, goals } = await growthOf(seeded, context)
    const ledger = await ledgerGoal(seeded, context.log)
    return { rows: [...queries, ...rows], goals: [...queryGoals(queries), ...goals, ledger] }
  } finally {
    await seeded.stop()
  }
}

async function queriesOf(stack, { quick, log }) {
  const rows = []
  for (const [name, path] of Object.entries(await historyQueries(stack))) {
    const row = await timed(stack, name, path, quick ? REQUESTS / 10 : REQUESTS)
    log(`${name}: p50 ${row.p50_ms} ms, p95 ${row.p95_ms} ms`)
    rows.push(row)
  }
  return rows
}

function queryGoals(rows) {
  const slowest = of => Math.max(...rows.filter(row => of.test(row.target)).map(row => row.p95_ms))
  return [
    goal('p95 ms of a usage page with its totals: under 30', slowest(/^usage: (first|deep) page/), { below: 30 }),
    goal('p95 ms of any filter of usage: under 30', slowest(/^usage/), { below: 30 }),
    goal('p95 ms of any page of history: under 30', slowest(/^history/), { below: 30 }),
  ]
}

/** The same chat load on the full table and on an empty one, in turn. */
async function growthOf(seeded, context) {
  const empty = await context.startStack(context.mockUrl)
  try {
    const targets = [targetOf('chat, empty table', empty), targetOf('chat, seeded table', seeded)]
    const options = { ...context, seconds: context.seconds ?? SECONDS }
    const seen = await alternate(targets, { connections: CONNECTIONS }, options)
    return { rows: Object.entries(seen).map(rowOf), goals: growthGoals(...Object.values(seen)) }
  } finally {
    await empty.stop()
  }
}

const targetOf = (name, { url, key, pids: { api, postgres } }) => ({ name, ask: { url, key }, pids: { api, postgres } })

const rowOf = ([target, samples]) => ({
  target,
  requests: samples.reduce((sum, { requests }) => sum + requests, 0),
  p50_ms: rounded(median(samples.map(sample => sample.p50_ms))),
  requests_per_second: rounded(median(samples.map(sample => sample.requests_per_second))),
  api_cpu_ms: cpuMs(samples, 'api', 'requests_with_warmup'),
  postgres_cpu_ms: cpuMs(samples, 'postgres', 'requests_with_warmup'),
})

function growthGoals(empty, seeded) {
  const withCost = samples =>
    samples.map(sample => ({
      ...sample,
      cost: (sample.cpuSeconds.api + sample.cpuSeconds.postgres) / sample.requests_with_warmup,
    }))
  const cost = ratio(withCost(seeded), withCost(empty), 'cost')
  const rate = ratio(seeded, empty, 'requests_per_second')
  return [
    goal('CPU of a chat of that at an empty table: under 1.1', cost, { below: 1.1 }),
    goal('requests/s of that at an empty table: at least 0.9', rate, { least: 0.9 }),
  ]
}
