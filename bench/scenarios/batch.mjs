// Rows a second of a batch, beside a script that asks the upstream directly with as many requests at once.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { batchLines, runBatch } from '../batch-client.mjs'
import { runDirectly } from '../direct-script.mjs'
import { median, rounded } from '../figures.mjs'
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
      seen.push({ ...one, count, ...(await compared({ stack, mockUrl, folder, input }, Math.min(rounds, MOST_ROUNDS), log)) })
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
    log(`${count} rows: direct ${rounded(seen.direct.at(-1), 0)}/s, batch ${rounded(seen.batch.at(-1), 0)}/s`)
  }
  return seen
}

const cpuSeconds = ({ pids }) => Object.values(pids).reduce((sum, pid) => sum + usageOf(pid).cpuSeconds, 0)

function rowsOf({ latencyMs, count, direct, batch, whole, cpuMs }) {
  const shared = { 'upstream latency ms': latencyMs, rows: count }
  const figures = values => ({
    'rows/s': rounded(median(values), 0),
    'by round': values.map(value => rounded(value, 0)).join(' / '),
  })
  return [
    { target: 'direct script', ...shared, ...figures(direct), ratio: 1 },
    {
      target: 'batch',
      ...shared,
      ...figures(batch),
      ratio: rounded(median(batch) / median(direct), 2),
      'rows/s, upload to output': rounded(median(whole), 0),
      'CPU ms/row, all processes': rounded(median(cpuMs), 2),
    },
  ]
}

function goalsOf(seen) {
  const [atOnce, slow] = seen
  const ratio = median(slow.batch) / median(slow.direct)
  const rate = median(atOnce.batch)
  return [
    { goal: 'at least 0.85x the direct script at 100 ms', value: rounded(ratio, 2), met: ratio >= 0.85 },
    { goal: 'at least 1,500 rows/s at 0 ms', value: rounded(rate, 0), met: rate >= 1_500 },
  ]
}
