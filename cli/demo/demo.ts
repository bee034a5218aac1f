import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { workflowIdOf } from '../../domain/durable/jobs/jobs.rules.ts'
import { usdText } from '../../domain/money/ledger/money.rules.ts'
import type { BatchDetail } from '../../domain/work/batches/batch.schema.ts'
import type { Config } from '../../infra/config.ts'
import { workflowLink } from '../operator/workflow-link.ts'
import { createDemoClient, type DemoClient } from './client.ts'
import { createProgress } from './progress.ts'
import { resultsTable } from './render.ts'
import { nanosOf, resultsOf } from './results.ts'
import { watchBatch } from './watch.ts'

const EXAMPLE = fileURLToPath(new URL('../../../examples/support-tickets.jsonl', import.meta.url))
const USUAL_COLUMNS = 120

export interface DemoTarget {
  apiUrl: string
  apiKey: string
  temporal: Config['temporal']
  /** Where the result files are kept. */
  folder: string
}

/** Runs the example batch over the public API and shows what comes back. Errors: Error with a sentence. */
export async function runDemo(target: DemoTarget, out: NodeJS.WriteStream): Promise<void> {
  const printLine = (text: string) => void out.write(`${text}\n`)
  const client = createDemoClient(target.apiUrl, target.apiKey)
  const startedAtMs = performance.now()

  const input = await readFile(EXAMPLE)
  const file = await client.upload(input, basename(EXAMPLE))
  printLine(`Uploaded examples/${basename(EXAMPLE)} (${file.bytes} bytes) as ${file.id}`)
  const created = await client.createBatch(file.id)
  printLine(`Created ${created.id}`)
  const batch = await watchBatch(client, created.id, createProgress(out))
  const seconds = (performance.now() - startedAtMs) / 1000

  const { output, errors } = await downloadResults(client, batch, target.folder)
  printLine(`\n${resultsTable(resultsOf(input.toString('utf8'), output, errors), out.columns || USUAL_COLUMNS)}\n`)
  printLine(summary(batch, seconds))
  printLine(`Result files  ${target.folder}`)
  const link = workflowLink(target.temporal, workflowIdOf({ resourceId: batch.id, run: 1 }))
  printLine(`Workflow      ${link ?? `${batch.id}.1 (TEMPORAL_UI_URL is not set)`}`)
  if (batch.status !== 'completed')
    throw new Error(`The batch ended as ${batch.status}: ${batch.last_error ?? 'no reason given'}`)
}

async function downloadResults(client: DemoClient, batch: BatchDetail, folder: string) {
  await mkdir(folder, { recursive: true })
  const download = async (fileId: string | null | undefined, name: string): Promise<string> => {
    if (fileId === null || fileId === undefined) return ''
    const content = await client.download(fileId)
    await writeFile(join(folder, name), content)
    return content
  }
  return {
    output: await download(batch.output_file_id, `${batch.id}_output.jsonl`),
    errors: await download(batch.error_file_id, `${batch.id}_errors.jsonl`),
  }
}

function summary(batch: BatchDetail, seconds: number): string {
  const { total, completed, failed } = batch.request_counts
  const { input_tokens, output_tokens, cost_usd } = batch.usage
  return [
    `Batch         ${batch.status}: ${total} rows, ${completed} completed, ${failed} failed`,
    `Tokens        ${input_tokens} in, ${output_tokens} out`,
    `Total cost    ${usdText(nanosOf(cost_usd))} USD`,
    `Time          ${seconds.toFixed(1)} s`,
  ].join('\n')
}
