import { Readable } from 'node:stream'
import type { Database } from '../../../infra/postgres/database.ts'
import type { ObjectStore } from '../../../infra/objects/store.ts'
import { appendEvent } from '../../durable/outbox/events.service.ts'
import { publishFile, writeFile, type WrittenFile } from '../files/file.service.ts'
import type { JobContext } from '../../durable/jobs/job-context.ts'
import { LOSS_TEXT, type JobLoss, type JobRun } from '../../durable/jobs/jobs.rules.ts'
import { endRun, inRun, type RunTransaction } from '../../durable/jobs/run-transaction.ts'
import { releaseHold } from '../../money/ledger/ledger.service.ts'
import { usdNumber } from '../../money/ledger/money.rules.ts'
import { endingOf, errorLine, isTerminal, UNRUN_ERROR, type BatchEnded, type BatchEnding } from './batch.rules.ts'
import type { BatchStatus } from './batch.schema.ts'
import { selectBatchOfJob, setEnded, recount, setFinalizing, type BatchRow } from './batch.sql.ts'
import { closeUnfinishedRows, hasUnfinishedRows, selectFinishedRows } from './row.sql.ts'

interface Deps {
  db: Database
  objects: ObjectStore
}

const ROWS_PER_PAGE = 500

/**
 * Brings a batch to its end: rows without a result get the error of that end, the output and error files are
 * assembled in row order, the hold is released. Repeating it changes nothing: the files of an attempt that did not
 * commit are never seen.
 */
export async function finalizeBatch(
  deps: Deps,
  job: JobContext,
  batchId: string,
  workEnded: BatchEnding,
  reason?: string,
): Promise<BatchEnded> {
  const before = await selectBatchOfJob(deps.db, batchId)
  if (isTerminal(before.status)) return ended(before, before.status)
  const ending = await inRun(deps.db, job.run, tx => closeRows(tx, batchId, workEnded))
  const batch = await selectBatchOfJob(deps.db, batchId)
  const outputFile = await assemble(deps, job, batch, 'completed')
  const errorFile = await assemble(deps, job, batch, 'not_completed')
  await endRun(deps.db, job.run, ending, tx =>
    endBatch(tx, batch, { status: ending, outputFile, errorFile, lastError: reason ?? null }),
  )
  return ended(batch, ending)
}

const ended = (batch: BatchRow, ending: BatchEnding): BatchEnded => ({
  ending,
  total: batch.rows_total,
  completed: batch.rows_completed,
  failed: batch.rows_failed,
})

/** Ends a batch whose workflow is gone: what was done is given out, as with any other end. */
export async function endLostBatch(deps: Deps, run: JobRun, loss: JobLoss): Promise<void> {
  const ending = loss === 'cancelled' ? 'cancelled' : 'failed'
  await finalizeBatch(deps, stepWithoutWorkflow(run), run.resourceId, ending, LOSS_TEXT[loss])
}

/** Ends a batch that was cancelled before it had a workflow: none of its rows was read. */
export async function endWaitingBatch(deps: Deps, run: JobRun): Promise<void> {
  await finalizeBatch(deps, stepWithoutWorkflow(run), run.resourceId, 'cancelled')
}

const stepWithoutWorkflow = (run: JobRun): JobContext => ({
  run,
  attempt: 1,
  signal: new AbortController().signal,
  isCancelled: () => false,
  heartbeat: () => undefined,
})

/** Gives rows without a result the error of the end that is coming, counts them all, and gives that end. */
export async function closeRows(tx: RunTransaction, batchId: string, workEnded: BatchEnding): Promise<BatchEnding> {
  const { status } = await selectBatchOfJob(tx, batchId)
  const ending = endingOf(status, workEnded, await hasUnfinishedRows(tx, batchId))
  if (ending !== 'completed') {
    await closeUnfinishedRows(tx, batchId, ending === 'failed' ? 'failed' : 'cancelled', UNRUN_ERROR[ending])
  }
  await recount(tx, batchId)
  await setFinalizing(tx, batchId)
  return ending
}

/** Undefined where no row belongs into the file. */
async function assemble(
  deps: Deps,
  job: JobContext,
  batch: BatchRow,
  which: 'completed' | 'not_completed',
): Promise<WrittenFile | undefined> {
  const lines = linesInOrder(deps, job, batch.id, which)
  const first = await lines.next()
  if (first.done === true) return undefined
  const body = Readable.from(withFirst(first.value, lines), { objectMode: false })
  return writeFile(deps, { userId: batch.user_id, projectId: batch.project_id }, body, { signal: job.signal })
}

async function* withFirst(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  yield first
  yield* rest
}

/** The lines of a file, a page of rows at a time. */
async function* linesInOrder(
  deps: Deps,
  job: JobContext,
  batchId: string,
  which: 'completed' | 'not_completed',
): AsyncGenerator<Buffer> {
  for (let after = -1; ;) {
    const rows = await selectFinishedRows(deps.db, batchId, which, after, ROWS_PER_PAGE)
    const last = rows.at(-1)
    if (last === undefined) return
    after = last.row_index
    job.heartbeat(after)
    yield Buffer.from(rows.map(lineOf).join(''))
  }
}

function lineOf(row: Awaited<ReturnType<typeof selectFinishedRows>>[number]): string {
  const error = row.error ?? { code: 'internal_error', message: 'The request has no result.' }
  return `${row.output_line ?? errorLine(row.request_id, row.custom_id, error)}\n`
}

export interface BatchEndWrite {
  status: Extract<BatchStatus, BatchEnding>
  outputFile: WrittenFile | undefined
  errorFile: WrittenFile | undefined
  lastError: string | null
}

/** What a batch's last transaction writes. */
export async function endBatch(tx: RunTransaction, batch: BatchRow, end: BatchEndWrite): Promise<void> {
  const owner = { userId: batch.user_id, projectId: batch.project_id }
  await publish(tx, end.outputFile, 'batch_output', `${batch.id}_output.jsonl`)
  await publish(tx, end.errorFile, 'batch_error', `${batch.id}_error.jsonl`)
  const ended = await setEnded(tx, batch.id, {
    status: end.status,
    outputFileId: end.outputFile?.id ?? null,
    errorFileId: end.errorFile?.id ?? null,
    lastError: end.lastError,
  })
  appendEvent(tx, {
    owner,
    type: `batch.${end.status}`,
    subject: batch.id,
    payload: {
      status: end.status,
      total: ended.rows_total,
      completed: ended.rows_completed,
      failed: ended.rows_failed,
      cost_usd: usdNumber(ended.cost_nanos),
    },
  })
  tx.atCommit(() => releaseHold(tx, batch.id, owner))
}

async function publish(
  tx: RunTransaction,
  file: WrittenFile | undefined,
  purpose: string,
  filename: string,
): Promise<void> {
  if (file !== undefined) await publishFile(tx, file, { purpose, filename })
}
