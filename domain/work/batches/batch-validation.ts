import type { Database } from '../../../infra/postgres/database.ts'
import type { ObjectStore } from '../../../infra/objects/store.ts'
import type { Catalog } from '../../inference/catalog/catalog.ts'
import { objectKeyOf } from '../files/file.service.ts'
import { newRequestId } from '../../core/ids.ts'
import type { JobContext } from '../../durable/jobs/job-context.ts'
import type { ChatCompletionRequest } from '../../inference/chat-request/chat.schema.ts'
import { sizesOfLarge } from '../../inference/chat/sent-chat.ts'
import type { TaskOwner, ThreadDeps } from '../../inference/threads/thread-work.ts'
import { endRun, inRun } from '../../durable/jobs/run-transaction.ts'
import { requireHold } from '../../money/ledger/ledger.service.ts'
import { withHold } from '../../money/leases/leases.ts'
import { usdText, type Nanos } from '../../money/ledger/money.rules.ts'
import { chunkCountOf, isTerminal, MOST_INPUT_BYTES, MOST_ROWS, ROWS_PER_CHUNK } from './batch.rules.ts'
import { selectBatchOfJob, setInProgress, type BatchRow } from './batch.sql.ts'
import { closeRows, endBatch } from './batch-end.ts'
import { linesOf, type Line } from './lines.ts'
import { readLine } from './row-line.ts'
import {
  customIdOf,
  LONGEST_LINE_BYTES,
  parseRow,
  rowErrorOf,
  worstPrice,
  type Fields,
  type RowContext,
} from './row.rules.ts'
import { insertChunks, insertRows, type NewRow } from './row.sql.ts'
import { badRequest, DomainError, isPaymentRequired, paymentRequired } from '../../core/errors.ts'

interface Deps extends ThreadDeps {
  db: Database
  objects: ObjectStore
  catalog: Catalog
}

/** What the workflow needs to know of a validated batch. */
export type BatchPlan =
  | { outcome: 'ready'; chunkCount: number; total: number; failed: number; model: string }
  /** The batch has ended already; nothing is left to do. */
  | { outcome: 'failed' }
  /** It was cancelled meanwhile. */
  | { outcome: 'cancelled' }

const ROWS_PER_INSERT = 1_000

interface RowTotals {
  total: number
  failed: number
  unreadable: number
  worstNanos: Nanos
  models: Set<string>
}

/** For operators' searches. */
const modelNameOf = (models: ReadonlySet<string>): string =>
  models.size === 1 ? ([...models][0] ?? 'none') : models.size === 0 ? 'none' : 'several'

/**
 * Reads the input file as a stream, writes down its rows with what is wrong with them, prices the others and places
 * the hold. Repeating it changes nothing: rows keep the request ids of the first time.
 */
export async function validateBatch(deps: Deps, job: JobContext, batchId: string): Promise<BatchPlan> {
  const batch = await selectBatchOfJob(deps.db, batchId)
  if (isTerminal(batch.status)) return { outcome: 'failed' }
  if (batch.status === 'cancelling') return { outcome: 'cancelled' }
  const totals = await writeRows(deps, job, batch)
  const refusal = refusalOf(totals)
  if (refusal !== undefined) return failBatch(deps, job, batch, refusal)
  return begin(deps, job, batch, totals)
}

async function writeRows(deps: Deps, job: JobContext, batch: BatchRow): Promise<RowTotals> {
  const context: RowContext = { catalog: deps.catalog, endpoint: batch.endpoint, rules: batch.key_rules }
  const totals: RowTotals = { total: 0, failed: 0, unreadable: 0, worstNanos: 0n, models: new Set() }
  const seen = new Set<string>()
  let page: NewRow[] = []
  const flush = async () => {
    await inRun(deps.db, job.run, tx => insertRows(tx, batch.id, page))
    job.heartbeat(totals.total)
    page = []
  }
  const { info, body } = await deps.objects.get(objectKeyOf(batch.input_file_id), { signal: job.signal })
  if (info.sizeBytes > MOST_INPUT_BYTES) {
    body.destroy()
    return { ...totals, total: Number.POSITIVE_INFINITY }
  }
  for await (const line of linesOf(body, LONGEST_LINE_BYTES)) {
    if (totals.total >= MOST_ROWS) return { ...totals, total: totals.total + 1 }
    page.push(await examine(deps, { tenant: batch.user_id, signal: job.signal }, line, { totals, seen, context }))
    if (page.length === ROWS_PER_INSERT) await flush()
  }
  await flush()
  return totals
}

/** One line as a row, counted in the census. */
async function examine(
  deps: ThreadDeps,
  taskOwner: TaskOwner,
  line: Line,
  { totals, seen, context }: { totals: RowTotals; seen: Set<string>; context: RowContext },
): Promise<NewRow> {
  const row: NewRow = {
    rowIndex: totals.total,
    customId: null,
    requestId: newRequestId(),
    model: null,
    byteOffset: line.offset,
    byteLength: line.bytes.length,
    error: null,
  }
  totals.total += 1
  try {
    const read = readCounted(deps, taskOwner, line, totals)
    const fields = read instanceof Promise ? await read : read
    row.customId = customIdOf(fields)
    requireFirst(row.customId, seen)
    const parsed = parseRow(fields, context)
    row.model = parsed.model.id
    totals.models.add(parsed.model.id)
    const isChat = context.endpoint === 'chat_completions'
    const sizes = isChat ? sizesOfLarge(deps, taskOwner, parsed.body as ChatCompletionRequest) : undefined
    totals.worstNanos += worstPrice(parsed, context.endpoint, sizes === undefined ? undefined : await sizes)
  } catch (error) {
    // It says nothing of the row: the step is tried again.
    if (taskOwner.signal?.aborted === true || (error instanceof DomainError && error.retryable)) throw error
    row.error = rowErrorOf(error, line.number)
    totals.failed += 1
  }
  return row
}

function readCounted(deps: ThreadDeps, taskOwner: TaskOwner, line: Line, totals: RowTotals): Fields | Promise<Fields> {
  const unreadable = (error: unknown) => {
    totals.unreadable += 1
    throw error
  }
  try {
    const read = readLine(deps, taskOwner, line.bytes)
    return read instanceof Promise ? read.catch(unreadable) : read
  } catch (error) {
    return unreadable(error)
  }
}

function requireFirst(customId: string | null, seen: Set<string>): void {
  if (customId === null) return
  if (seen.has(customId))
    throw badRequest('`custom_id` was used by an earlier line.', 'custom_id', 'duplicate_custom_id')
  seen.add(customId)
}

/** Why the file as a whole cannot be run, where it cannot. */
function refusalOf({ total, unreadable }: RowTotals): string | undefined {
  if (total === 0) return 'The input file has no rows.'
  if (total > MOST_ROWS) return `The input file has more than ${MOST_ROWS} rows or ${MOST_INPUT_BYTES} bytes. Split it.`
  if (unreadable === total) return 'No line of the input file is a JSON object: it must be JSONL in UTF-8.'
  return undefined
}

async function begin(deps: Deps, job: JobContext, batch: BatchRow, totals: RowTotals): Promise<BatchPlan> {
  const owner = { userId: batch.user_id, projectId: batch.project_id }
  const { total, failed, worstNanos } = totals
  const start = () =>
    inRun(deps.db, job.run, async tx => {
      await insertChunks(tx, batch.id, total, ROWS_PER_CHUNK)
      // Where it is in progress already, its hold was placed then.
      if (!(await setInProgress(tx, batch.id, { total, failed, reservedNanos: worstNanos }))) return
      tx.atCommit(() => requireHold(tx, job.run, owner, worstNanos, notCovered(worstNanos)))
    })
  try {
    await withHold(deps.db, owner.userId, start)
  } catch (error) {
    if (!isPaymentRequired(error)) throw error
    return failBatch(deps, job, batch, error.message)
  }
  return {
    outcome: 'ready',
    chunkCount: failed === total ? 0 : chunkCountOf(total),
    total,
    failed,
    model: modelNameOf(totals.models),
  }
}

const notCovered = (expected: Nanos) => (available: Nanos) =>
  paymentRequired(
    `payment_required: ${usdText(expected)} USD may be needed and ${usdText(available)} USD are free. ` +
      'Add credit, or ask for fewer output tokens.',
  )

async function failBatch(deps: Deps, job: JobContext, batch: BatchRow, reason: string): Promise<BatchPlan> {
  await endRun(deps.db, job.run, 'failed', async tx => {
    await closeRows(tx, batch.id, 'failed')
    await endBatch(tx, batch, { status: 'failed', outputFile: undefined, errorFile: undefined, lastError: reason })
  })
  return { outcome: 'failed' }
}
