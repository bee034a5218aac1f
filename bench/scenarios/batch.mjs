// Rows a second of a batch, beside a script that asks the upstream directly with as many requests at once.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { batchLines, runBatch } from '../batch-client.mjs'
import { runDirectly } from '../direct-script.mjs'
import { goal, median, rounded } from '../figures.mjs'
import { usageOf } from '../processes.mjs'

export const title = 'Batch: rows/s beside a direct script, 64 at once'

const MOST_ROUNDS = 3
const CASES = [
  { latencyMs: 0, rows: 20_000, quickRows: 2_000 },
  { latencyMs: 100, rows: 6_000, quickRows: 1_000 },
]

export async function run({ mockUrl, rounds, quick, log, startStack }) {
  const stack = await startStack(mockUrl)
  const folder = await mkdtemp(join(tmpdir(), 'ipop-bench-batch-'))
  try {
    await runBatch(stack, linesOf(stack.model, { latencyMs: 0 }, 500))
    const seen = []
    for (const one of CASES) {
      const count = quick ? one.quickRows : one.rows
      const input = { path: join(folder, 'rows.jsonl'), lines: linesOf(stack.model, one, count) }
      await writeFile(input.path, linesOf('bench', one, count).join('\n'))
      seen.push({
        ...one,
        count,
        ...(await compared({ stack, mockUrl, folder, input }, Math.min(rounds, MOST_ROUNDS), log)),
      })
    }
    return { rows: seen.flatMap(rowsOf), goals: goalsOf(seen) }
  } finally {
    await stack.stop()
    await rm(folder, { recursive: true })
  }
}

const linesOf = (model, { latencyMs }, count) => batchLines(model, count, JSON.stringify({ latencyMs }))

async function compared({ stack, mockUrl, folder, input }, rounds, log) {
  const count = input.lines.length
  const seen = { direct: [], batch: [], whole: [], cpuMs: [] }
  for (let round = 0; round < rounds; round++) {
    seen.direct.push(count / (await runDirectly(mockUrl, input.path, join(folder, 'answers.jsonl'))))
    const before = cpuSeconds(stack)
    const { wholeSeconds, rowSeconds } = await runBatch(stack, input.lines)
    seen.cpuMs.push(((cpuSeconds(stack) - before) * 1000) / count)
    seen.batch.push(count / rowSeconds)
    seen.whole.push(count / wholeSeconds)
    log(`${count} rows: direct ${rounded(seen.direct.at(-1))}/s, batch ${rounded(seen.batch.at(-1))}/s`)
  }
  return seen
}

const cpuSeconds = ({ pids }) => Object.values(pids).reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0)

function rowsOf({ latencyMs, count, direct, batch, whole, cpuMs }) {
  const figures = (target, values) => ({
    target,
    upstream_latency_ms: latencyMs,
    rows: count,
    rows_per_second: rounded(median(values)),
    min: rounded(Math.min(...values)),
    max: rounded(Math.max(...values)),
    of_direct: rounded(ratioOf(values, direct)),
  })
  return [
    figures('direct script', direct),
    {
      ...figures('batch', batch),
      upload_to_output_per_second: rounded(median(whole)),
      cpu_ms_per_row: rounded(median(cpuMs)),
    },
  ]
}

const ratioOf = (values, others) => median(values.map((value, round) => value / others[round]))

const goalsOf = ([atOnce, slow]) => [
  goal('rows/s of the direct script, at 100 ms: at least 0.85x', ratioOf(slow.batch, slow.direct), { least: 0.85 }),
  goal('rows/s, at 0 ms: at least 1,500', median(atOnce.batch), { least: 1_500 }),
]
