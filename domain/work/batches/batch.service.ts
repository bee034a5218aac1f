import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import { badRequest, conflict, notFound, paymentRequired } from '../../core/errors.ts'
import { requireFileFor } from '../files/file.service.ts'
import { createOnce, type Repeatable } from '../../tenancy/idempotency/create-once.ts'
import { isId, newId } from '../../core/ids.ts'
import { cancelJob, startJob } from '../../durable/jobs/jobs.service.ts'
import { availableNanos, requireAccount } from '../../money/ledger/ledger.service.ts'
import { usdNumber } from '../../money/ledger/money.rules.ts'
import { idCursor, listView, readPage } from '../../core/pages.ts'
import type { RequireStorage } from '../../tenancy/storage/storage.service.ts'
import { requireEnabledUser } from '../../tenancy/users/user.service.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { isStorable } from '../../core/text.rules.ts'
import { unixSeconds } from '../../core/time-window.rules.ts'
import { BATCH_JOBS, endpointOf, isTerminal, parseCompletionWindow, type BatchInput } from './batch.rules.ts'
import type {
  BatchDetail,
  BatchDetailQuery,
  BatchJob,
  BatchJobRow,
  BatchList,
  CreateBatchRequest,
  ListBatchesQuery,
} from './batch.schema.ts'
import { insertBatch, selectBatch, selectBatches, setCancelling, type BatchRow } from './batch.sql.ts'
import { hasRowsAfter, selectRows, type BatchRowRow } from './row.sql.ts'

interface Deps {
  db: Database
}

const MOST_METADATA_CHARACTERS = 16_384
const DEFAULT_PAGE = 20
const DEFAULT_ROWS = 100
const INPUT_PURPOSE = 'batch'

/**
 * Makes a batch and answers at once: its workflow validates the file. With an idempotency key that was used before,
 * the same batch again. Errors: 400, 402 without credit, 404 for the file, 409 for a key used with other input.
 */
export async function createBatch(
  deps: Deps & { requireStorage: RequireStorage },
  caller: Caller,
  request: CreateBatchRequest,
  repeatable: Repeatable,
): Promise<BatchJob> {
  const windowSeconds = parseCompletionWindow(request.completion_window)
  requireMetadata(request.metadata)
  await deps.requireStorage(caller.owner.userId)
  const batchId = newId('batch')
  const make = async (tx: Transaction) => {
    await requireEnabledUser(tx, caller.owner.userId)
    const account = await requireAccount(tx, caller.owner.userId)
    if (availableNanos(account) <= 0n)
      throw paymentRequired('A batch needs credit, and this account has none left. Add credit.')
    const file = await requireFileFor(tx, caller.owner, request.input_file_id, INPUT_PURPOSE, 'input_file_id')
    const endpoint = endpointOf(request.endpoint)
    const batch = await insertBatch(tx, {
      id: batchId,
      owner: caller.owner,
      keyId: caller.keyId,
      rules: caller.rules,
      endpoint,
      inputFileId: file.id,
      metadata: request.metadata ?? null,
      windowSeconds,
    })
    await startJob(tx, BATCH_JOBS, {
      resourceId: batch.id,
      owner: caller.owner,
      input: { batchId: batch.id, deadlineAt: batch.deadline_at.toISOString() } satisfies BatchInput,
      summary: `batch of ${endpoint} from ${file.id} (${file.bytes} bytes)`,
      fileIds: [file.id],
      deadlineAt: batch.deadline_at,
    })
    return batch
  }
  return inTransaction(deps.db, async tx => {
    const again = (earlier: string) => requireBatch(tx, caller, earlier)
    return batchView(await createOnce(tx, caller.owner, repeatable, { id: batchId, make: () => make(tx), again }))
  })
}

function requireMetadata(metadata: object | null | undefined): void {
  if (metadata === undefined || metadata === null) return
  if (!isStorable(metadata)) throw badRequest('`metadata` holds a NUL or an unpaired surrogate.', 'metadata')
  if (JSON.stringify(metadata).length > MOST_METADATA_CHARACTERS) {
    throw badRequest(`\`metadata\` has at most ${MOST_METADATA_CHARACTERS} characters as JSON.`, 'metadata')
  }
}

/** The newest first. */
export async function listBatches(deps: Deps, caller: Caller, query: ListBatchesQuery): Promise<BatchList> {
  const page = await readPage(query, { cursor: idCursor('batch'), size: DEFAULT_PAGE }, ({ after, limit }) =>
    selectBatches(deps.db, caller.owner, { after, limit }),
  )
  return listView(page, batchView)
}

/** The batch with a page of its rows. Errors: 404. */
export async function getBatch(
  deps: Deps,
  caller: Caller,
  batchId: string,
  query: BatchDetailQuery,
): Promise<BatchDetail> {
  const batch = await requireBatch(deps.db, caller, batchId)
  const limit = query.rows_limit ?? DEFAULT_ROWS
  const rows = await selectRows(deps.db, batch.id, query.rows_after ?? -1, limit)
  const last = rows.at(-1)
  const hasMore = last !== undefined && (await hasRowsAfter(deps.db, batch.id, last.row_index))
  return { ...batchView(batch), rows: rows.map(rowView), rows_has_more: hasMore }
}

/** Stops a running batch. Asking again changes nothing. Errors: 404; 409 where it has ended otherwise. */
export async function cancelBatch(deps: Deps, caller: Caller, batchId: string): Promise<BatchJob> {
  return inTransaction(deps.db, async tx => {
    const batch = await requireBatch(tx, caller, batchId)
    if (isTerminal(batch.status) && batch.status !== 'cancelled') {
      throw conflict(`The batch is ${batch.status} already: there is nothing to cancel.`, 'batch_id')
    }
    const stopping = await setCancelling(tx, caller.owner, batchId)
    if (stopping === undefined) return batchView(await requireBatch(tx, caller, batchId))
    await cancelJob(tx, batchId)
    return batchView(stopping)
  })
}

async function requireBatch(db: Parameters<typeof selectBatch>[0], caller: Caller, batchId: string): Promise<BatchRow> {
  const batch = isId('batch', batchId) ? await selectBatch(db, caller.owner, batchId) : undefined
  if (batch === undefined) throw notFound('batch', 'batch_id')
  return batch
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null

const batchView = (row: BatchRow): BatchJob => ({
  id: row.id,
  object: 'batch',
  owner_user_id: row.user_id,
  project_id: row.project_id,
  status: row.status,
  endpoint: row.endpoint,
  input_file_id: row.input_file_id,
  output_file_id: row.output_file_id,
  error_file_id: row.error_file_id,
  request_counts: { total: row.rows_total, completed: row.rows_completed, failed: row.rows_failed },
  usage: {
    input_tokens: Number(row.tokens_in),
    output_tokens: Number(row.tokens_out),
    cost_usd: usdNumber(row.cost_nanos),
  },
  completion_window_secs: row.completion_window_seconds,
  reserved_credit_total: row.reserved_nanos === null ? null : usdNumber(row.reserved_nanos),
  last_error: row.last_error,
  metadata: row.metadata,
  created_at: row.created_at.toISOString(),
  created: unixSeconds(row.created_at),
  deadline_at: row.deadline_at.toISOString(),
  started_at: iso(row.started_at),
  cancel_requested_at: iso(row.cancel_requested_at),
  completed_at: iso(row.completed_at),
})

const rowView = (row: BatchRowRow): BatchJobRow => ({
  batch_id: row.batch_id,
  row_index: row.row_index,
  custom_id: row.custom_id,
  request_id: row.request_id,
  status: row.status,
  output_line: row.output_line,
  error: row.error === null ? null : { ...row.error },
  created_at: row.created_at.toISOString(),
  updated_at: iso(row.updated_at),
})
