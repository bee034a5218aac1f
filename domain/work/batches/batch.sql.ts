import { queryFirst, queryOne, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { RunTransaction } from '../../durable/jobs/run-transaction.ts'
import { JobSuperseded } from '../../durable/jobs/superseded.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'
import type { KeyRules, Owner } from '../../core/caller.rules.ts'
import { ownerValues, VISIBLE_TO_OWNER } from '../../core/visibility.ts'
import type { BatchEndpoint, BatchStatus } from './batch.schema.ts'

export interface BatchRow {
  id: string
  user_id: string
  project_id: string | null
  api_key_id: string
  key_rules: KeyRules
  status: BatchStatus
  endpoint: BatchEndpoint
  input_file_id: string
  output_file_id: string | null
  error_file_id: string | null
  metadata: Record<string, unknown> | null
  completion_window_seconds: number
  deadline_at: Date
  rows_total: number
  rows_completed: number
  rows_failed: number
  tokens_in: bigint
  tokens_out: bigint
  cost_nanos: Nanos
  reserved_nanos: Nanos | null
  last_error: string | null
  created_at: Date
  started_at: Date | null
  cancel_requested_at: Date | null
  completed_at: Date | null
}

export interface NewBatch {
  id: string
  owner: Owner
  keyId: string
  rules: KeyRules
  endpoint: BatchEndpoint
  inputFileId: string
  metadata: object | null
  windowSeconds: number
}

export async function insertBatch(tx: Transaction, batch: NewBatch): Promise<BatchRow> {
  return queryOne<BatchRow>(
    tx,
    `INSERT INTO batches (id, user_id, project_id, api_key_id, key_rules, status, endpoint, input_file_id, metadata,
       completion_window_seconds, deadline_at)
     VALUES ($1::text, $2::text, $3::text, $4::text, $5::jsonb, 'validating', $6::text, $7::text, $8::jsonb,
       $9::integer, now() + $9::integer * interval '1 s')
     RETURNING *`,
    [
      batch.id,
      batch.owner.userId,
      batch.owner.projectId,
      batch.keyId,
      JSON.stringify(batch.rules),
      batch.endpoint,
      batch.inputFileId,
      batch.metadata === null ? null : JSON.stringify(batch.metadata),
      batch.windowSeconds,
    ],
  )
}

export async function selectBatch(db: Queryable, owner: Owner, id: string): Promise<BatchRow | undefined> {
  return queryFirst<BatchRow>(db, `SELECT * FROM batches WHERE ${VISIBLE_TO_OWNER} AND id = $3::text`, [
    ...ownerValues(owner),
    id,
  ])
}

/** For the job itself, which has no caller. Errors: JobSuperseded where the batch is gone. */
export async function selectBatchOfJob(db: Queryable, id: string): Promise<BatchRow> {
  const batch = await queryFirst<BatchRow>(db, 'SELECT * FROM batches WHERE id = $1::text', [id])
  if (batch === undefined) throw new JobSuperseded()
  return batch
}

export async function selectBatches(
  db: Queryable,
  owner: Owner,
  page: { after: string | undefined; limit: number },
): Promise<BatchRow[]> {
  const { rows } = await db.query<BatchRow>(
    `SELECT * FROM batches WHERE ${VISIBLE_TO_OWNER} AND ($3::text IS NULL OR id < $3::text)
     ORDER BY id DESC LIMIT $4::integer`,
    [...ownerValues(owner), page.after ?? null, page.limit],
  )
  return rows
}

/** Asks a running batch to stop. Undefined where it is not running any more, or is stopping already. */
export async function setCancelling(tx: Transaction, owner: Owner, id: string): Promise<BatchRow | undefined> {
  return queryFirst<BatchRow>(
    tx,
    `UPDATE batches SET status = 'cancelling', cancel_requested_at = now()
     WHERE ${VISIBLE_TO_OWNER} AND id = $3::text AND status IN ('validating', 'in_progress') RETURNING *`,
    [...ownerValues(owner), id],
  )
}

export interface ValidatedTotals {
  total: number
  failed: number
  reservedNanos: Nanos
}

/** False where the batch is past validating. */
export async function setInProgress(tx: RunTransaction, id: string, totals: ValidatedTotals): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE batches SET status = 'in_progress', started_at = now(), rows_total = $2::integer, rows_failed = $3::integer,
       reserved_nanos = $4::bigint
     WHERE id = $1::text AND status = 'validating'`,
    [id, totals.total, totals.failed, totals.reservedNanos],
  )
  return rowCount === 1
}

/** Counts the batch's rows anew: one that was cancelled while it was validated still says how many it had. */
export async function recount(tx: RunTransaction, id: string): Promise<void> {
  await tx.query(
    `UPDATE batches SET
       rows_total = (SELECT count(*) FROM batch_rows WHERE batch_id = $1::text),
       rows_failed = (SELECT count(*) FROM batch_rows WHERE batch_id = $1::text AND status IN ('failed', 'cancelled')),
       rows_completed = (SELECT count(*) FROM batch_rows WHERE batch_id = $1::text AND status = 'completed')
     WHERE id = $1::text`,
    [id],
  )
}

export async function setFinalizing(tx: RunTransaction, id: string): Promise<void> {
  await tx.query(
    `UPDATE batches SET status = 'finalizing' WHERE id = $1::text AND status IN ('validating', 'in_progress')`,
    [id],
  )
}

export interface BatchEnd {
  status: BatchStatus
  outputFileId: string | null
  errorFileId: string | null
  lastError: string | null
}

export async function setEnded(tx: RunTransaction, id: string, end: BatchEnd): Promise<BatchRow> {
  return queryOne<BatchRow>(
    tx,
    `UPDATE batches SET status = $2::text, output_file_id = $3::text, error_file_id = $4::text, last_error = $5::text,
       completed_at = now()
     WHERE id = $1::text RETURNING *`,
    [id, end.status, end.outputFileId, end.errorFileId, end.lastError],
  )
}
