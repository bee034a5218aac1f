import { setMaxListeners } from 'node:events'
import type { Log } from '../../../infra/log.ts'
import type { Metrics } from '../../../infra/metrics.ts'
import type { ObjectStore } from '../../../infra/objects/store.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import { isTransientDatabaseError } from '../../../infra/postgres/sqlstate.ts'
import { isAborted } from '../../../infra/upstreams/upstream.ts'
import { DomainError } from '../../core/errors.ts'
import { objectKeyOf } from '../files/file.service.ts'
import type { JobContext } from '../../durable/jobs/job-context.ts'
import { inRun } from '../../durable/jobs/run-transaction.ts'
import { noteUncharged } from '../../money/ledger/uncharged.ts'
import { availableNanos, heldFor, requireAccount } from '../../money/ledger/ledger.service.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'
import type { Progress } from './batch.rules.ts'
import { selectBatchOfJob, type BatchRow } from './batch.sql.ts'
import { takeSlot, type FairGate, type Slot } from '../../../infra/fair-gate.ts'
import type { CommitRow, FinishedRow, RowCommitted } from './row-commit.ts'
import { rowErrorOf } from './row.rules.ts'
import { runRow, type RowRunDeps } from './row-run.ts'
import { claimChunk, takeUnfinishedRows, type ChunkClaim } from './row.sql.ts'

export interface ChunkDeps extends RowRunDeps {
  db: Database
  objects: ObjectStore
  gate: FairGate
  commitRow: CommitRow
  metrics: Metrics
  log: Log
}

/** How often a quiet chunk says that its job is alive. */

type Taken = Awaited<ReturnType<typeof takeUnfinishedRows>>[number]

/**
 * Runs the rows of a chunk that have no result yet, as many at once as the gate admits, and gives the batch's
 * progress. Stopping aborts the calls under way; what was committed stays.
 */
export async function runBatchChunk(
  deps: ChunkDeps,
  job: JobContext,
  batchId: string,
  chunkIndex: number,
): Promise<Progress> {
  const claim: ChunkClaim = { batchId, chunkIndex, run: job.run.run, attempt: job.attempt }
  const { batch, rows } = await takeChunk(deps, job, claim)
  if (rows.length > 0) await runRows(deps, job, batch, claim, rows)
  const { rows_total: total, rows_completed: completed, rows_failed: failed } = await selectBatchOfJob(deps.db, batchId)
  return { total, completed, failed }
}

/** The rows to run: none where a newer attempt has the chunk, or the batch is to stop. Errors: JobSuperseded. */
async function takeChunk(
  { db }: ChunkDeps,
  { run }: JobContext,
  claim: ChunkClaim,
): Promise<{ batch: BatchRow; rows: Taken[] }> {
  return inRun(db, run, async tx => {
    const chunk = await claimChunk(tx, claim)
    const batch = await selectBatchOfJob(tx, claim.batchId)
    const isWanted = chunk !== undefined && batch.status !== 'cancelling'
    return { batch, rows: isWanted ? await takeUnfinishedRows(tx, claim.batchId, chunk) : [] }
  })
}

async function runRows(
  deps: ChunkDeps,
  job: JobContext,
  batch: BatchRow,
  claim: ChunkClaim,
  rows: Taken[],
): Promise<void> {
  const credit = await readCredit(deps, batch)
  const stop = new AbortController()
  const signal = AbortSignal.any([job.signal, stop.signal])
  // Every row under way listens.
  setMaxListeners(0, signal)
  const running = new Set<Promise<void>>()
  let done = 0
  try {
    for await (const { row, line } of linesOfRows(deps, batch, rows, signal)) {
      const slot = await takeSlot(deps.gate, batch.user_id, signal)
      const task = runOne(deps, batch, claim, row, line, credit, signal, slot)
        .then(() => job.heartbeat((done += 1)))
        .catch((error: unknown) => stop.abort(error))
        .finally(() => running.delete(task))
      running.add(task)
    }
    await Promise.all(running)
    signal.throwIfAborted()
  } finally {
    stop.abort(new Error('the chunk has ended'))
    await Promise.all(running)
  }
}

/** Runs a row and commits its end. A row that was stopped has no end: it is run again or closed by the batch's. */
async function runOne(
  deps: ChunkDeps,
  batch: BatchRow,
  claim: ChunkClaim,
  row: Taken,
  line: Buffer,
  credit: Credit,
  signal: AbortSignal,
  slot: Slot,
): Promise<void> {
  try {
    const requestId = row.request_id ?? ''
    const result = { ...claim, rowIndex: row.row_index }
    const end = await runRowPaid(deps, batch, { requestId, line }, credit, signal, slot).then(
      ({ line: outputLine, call }) => ({ result: { ...result, outputLine, error: null }, call }),
      (error: unknown) => ({
        result: { ...result, outputLine: null, error: rowErrorOf(requireRowFailure(error, signal)) },
        call: undefined,
      }),
    )
    credit.update(await commitOrFail(deps, { userId: batch.user_id, ...end }))
  } finally {
    slot.release()
  }
}

/** A result that the database refuses fails its row alone: it would fail every later attempt too. */
async function commitOrFail(deps: ChunkDeps, row: FinishedRow): Promise<RowCommitted> {
  try {
    return await deps.commitRow(row)
  } catch (error) {
    if (isTransientDatabaseError(error)) throw error
    deps.log.error(
      { batchId: row.result.batchId, row: row.result.rowIndex, err: error },
      'a result could not be stored',
    )
    await noteRowUncharged(deps, row, error)
    const result = { ...row.result, outputLine: null, error: rowErrorOf(error) }
    return deps.commitRow({ userId: row.userId, result, call: undefined })
  }
}

async function noteRowUncharged(deps: ChunkDeps, { result, call }: FinishedRow, error: unknown): Promise<void> {
  if (call === undefined) return
  const { batchId: resourceId, rowIndex } = result
  const upstream = call.upstream ?? 'none'
  await noteUncharged(deps, { resourceId, upstream, nanos: call.costNanos, error, of: { row: rowIndex } })
}

/** Runs the row where there is credit for it: before its first try, and after every time it had to wait. */
async function runRowPaid(
  deps: ChunkDeps,
  batch: BatchRow,
  row: { requestId: string; line: Buffer },
  credit: Credit,
  signal: AbortSignal,
  slot: Slot,
) {
  requireUnspent(credit)
  return runRow(deps, batch, row, signal, async wait => {
    await slot.withoutSlot(wait)
    requireUnspent(credit)
  })
}

function requireUnspent(credit: Credit): void {
  if (!credit.isSpent()) return
  throw new DomainError(402, 'payment_required', "The batch's hold and the account's credit are spent.", {
    type: 'payment_required',
  })
}

/** Rethrows what is not the row's own failure. */
function requireRowFailure(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) throw signal.reason
  if (isAborted(error)) throw error
  return error
}

interface Credit {
  isSpent(): boolean
  update(committed: RowCommitted): void
}

/** What the tenant can still spend on the batch, as of the last commit. */
async function readCredit(deps: ChunkDeps, batch: BatchRow): Promise<Credit> {
  let available: Nanos = availableNanos(await requireAccount(deps.db, batch.user_id))
  let hold: Nanos = await heldFor(deps.db, batch.id)
  return {
    isSpent: () => hold <= 0n && available <= 0n,
    update: committed => {
      available = committed.availableNanos ?? available
      hold = committed.holdNanos ?? hold
    },
  }
}

/** The rows with their bytes: one read of the file from the first row's to the last row's end. */
async function* linesOfRows(
  deps: ChunkDeps,
  batch: BatchRow,
  rows: Taken[],
  signal: AbortSignal,
): AsyncGenerator<{ row: Taken; line: Buffer }> {
  const first = rows[0]
  const last = rows.at(-1)
  if (first === undefined || last === undefined) return
  const start = Number(first.byte_offset)
  const end = Number(last.byte_offset) + last.byte_length - 1
  const { body } = await deps.objects.get(objectKeyOf(batch.input_file_id), { range: { start, end }, signal })
  let position = start
  let next = 0
  let parts: Buffer[] = []
  for await (const part of body as AsyncIterable<Buffer>) {
    for (let row = rows[next]; row !== undefined; row = rows[next]) {
      const from = Math.max(0, Number(row.byte_offset) - position)
      const to = Number(row.byte_offset) + row.byte_length - position
      if (from >= part.length) break
      parts.push(part.subarray(from, to))
      if (to > part.length) break
      yield { row, line: Buffer.concat(parts) }
      parts = []
      next += 1
    }
    position += part.length
  }
  if (next < rows.length) throw new Error('the input file is shorter than it was')
}
