import { queryFirst, type Queryable } from '../../../infra/postgres/database.ts'
import type { RunTransaction } from '../../durable/jobs/run-transaction.ts'
import type { RowError } from './batch.rules.ts'

export interface BatchRowRow {
  batch_id: string
  row_index: number
  custom_id: string | null
  request_id: string | null
  status: 'pending' | 'queued' | 'running' | 'completed' | 'failed' | 'cancelled'
  model: string | null
  byte_offset: bigint
  byte_length: number
  output_line: string | null
  error: RowError | null
  created_at: Date
  updated_at: Date | null
}

export interface NewRow {
  rowIndex: number
  customId: string | null
  requestId: string
  model: string | null
  byteOffset: number
  byteLength: number
  /** What is wrong with it: it is then never run. */
  error: RowError | null
}

/** Inserts rows that are not there yet: a repeated validation keeps the request ids of the first. */
export async function insertRows(tx: RunTransaction, batchId: string, rows: readonly NewRow[]): Promise<void> {
  await tx.query(
    `INSERT INTO batch_rows (batch_id, row_index, custom_id, request_id, status, model, byte_offset, byte_length, error)
     SELECT $1::text, r.row_index, r.custom_id, r.request_id, CASE WHEN r.error IS NULL THEN 'pending' ELSE 'failed' END,
       r.model, r.byte_offset, r.byte_length, r.error::jsonb
     FROM unnest($2::integer[], $3::text[], $4::uuid[], $5::text[], $6::bigint[], $7::integer[], $8::text[])
       AS r(row_index, custom_id, request_id, model, byte_offset, byte_length, error)
     ON CONFLICT DO NOTHING`,
    [
      batchId,
      rows.map(row => row.rowIndex),
      rows.map(row => row.customId),
      rows.map(row => row.requestId),
      rows.map(row => row.model),
      rows.map(row => row.byteOffset),
      rows.map(row => row.byteLength),
      rows.map(row => (row.error === null ? null : JSON.stringify(row.error))),
    ],
  )
}

/** Divides the rows into chunks, once. */
export async function insertChunks(
  tx: RunTransaction,
  batchId: string,
  rowCount: number,
  rowsPerChunk: number,
): Promise<void> {
  await tx.query(
    `INSERT INTO batch_chunks (batch_id, chunk_index, first_row, row_count)
     SELECT $1::text, i, i * $3::integer, least($3::integer, $2::integer - i * $3::integer)
     FROM generate_series(0, ($2::integer - 1) / $3::integer) AS i
     WHERE $2::integer > 0 ON CONFLICT DO NOTHING`,
    [batchId, rowCount, rowsPerChunk],
  )
}

export interface ChunkClaim {
  batchId: string
  chunkIndex: number
  run: number
  attempt: number
}

/** Makes this attempt the one that may write the chunk's rows. Undefined where a newer one has it. */
export async function claimChunk(
  tx: RunTransaction,
  claim: ChunkClaim,
): Promise<{ first_row: number; row_count: number } | undefined> {
  return queryFirst(
    tx,
    `UPDATE batch_chunks SET run = $3::integer, attempt = $4::integer
     WHERE batch_id = $1::text AND chunk_index = $2::integer AND (run, attempt) <= ($3::integer, $4::integer)
     RETURNING first_row, row_count`,
    [claim.batchId, claim.chunkIndex, claim.run, claim.attempt],
  )
}

/** The chunk's rows that are still to be run, marked as running. */
export async function takeUnfinishedRows(
  tx: RunTransaction,
  batchId: string,
  chunk: { first_row: number; row_count: number },
): Promise<Pick<BatchRowRow, 'row_index' | 'custom_id' | 'request_id' | 'byte_offset' | 'byte_length'>[]> {
  const { rows } = await tx.query<
    Pick<BatchRowRow, 'row_index' | 'custom_id' | 'request_id' | 'byte_offset' | 'byte_length'>
  >(
    `WITH taken AS (
       UPDATE batch_rows SET status = 'running', updated_at = now()
       WHERE batch_id = $1::text AND row_index >= $2::integer AND row_index < $2::integer + $3::integer
         AND status IN ('pending', 'queued', 'running')
       RETURNING row_index, custom_id, request_id, byte_offset, byte_length)
     SELECT * FROM taken ORDER BY row_index`,
    [batchId, chunk.first_row, chunk.row_count],
  )
  return rows
}

export interface RowResult extends ChunkClaim {
  rowIndex: number
  outputLine: string | null
  error: RowError | null
}

/**
 * Writes the results of rows that have none yet, where their writer still holds the chunk.
 * Gives the rows that were written: only those may be charged.
 */
export async function finishRows(
  tx: RunTransaction,
  results: readonly RowResult[],
): Promise<{ batch_id: string; row_index: number }[]> {
  const { rows } = await tx.query<{ batch_id: string; row_index: number }>(
    `UPDATE batch_rows r SET status = CASE WHEN g.error IS NULL THEN 'completed' ELSE 'failed' END,
       output_line = g.output_line, error = g.error::jsonb, updated_at = now()
     FROM unnest($1::text[], $2::integer[], $3::integer[], $4::integer[], $5::integer[], $6::text[], $7::text[])
       AS g(batch_id, chunk_index, run, attempt, row_index, output_line, error)
     JOIN batch_chunks c ON c.batch_id = g.batch_id AND c.chunk_index = g.chunk_index
       AND c.run = g.run AND c.attempt = g.attempt
     WHERE r.batch_id = g.batch_id AND r.row_index = g.row_index AND r.status IN ('pending', 'queued', 'running')
     RETURNING r.batch_id, r.row_index`,
    [
      results.map(result => result.batchId),
      results.map(result => result.chunkIndex),
      results.map(result => result.run),
      results.map(result => result.attempt),
      results.map(result => result.rowIndex),
      results.map(result => result.outputLine),
      results.map(result => (result.error === null ? null : JSON.stringify(result.error))),
    ],
  )
  return rows
}

export interface BatchDelta {
  batchId: string
  completed: number
  failed: number
  /** Of the replies, as they are kept. */
  storedBytes: number
  tokensIn: number
  tokensOut: number
  costNanos: bigint
}

/** Adds finished rows to their batches, in one order, and says that the jobs are alive. */
export async function addToBatches(tx: RunTransaction, deltas: readonly BatchDelta[]): Promise<void> {
  for (const delta of [...deltas].sort((a, b) => (a.batchId < b.batchId ? -1 : 1))) {
    await tx.query(
      `WITH touched AS (UPDATE jobs SET touched_at = now() WHERE resource_id = $1::text AND state = 'open')
       UPDATE batches SET rows_completed = rows_completed + $2::integer, rows_failed = rows_failed + $3::integer,
         tokens_in = tokens_in + $4::bigint, tokens_out = tokens_out + $5::bigint, cost_nanos = cost_nanos + $6::bigint,
         stored_bytes = stored_bytes + $7::bigint
       WHERE id = $1::text`,
      [
        delta.batchId,
        delta.completed,
        delta.failed,
        delta.tokensIn,
        delta.tokensOut,
        delta.costNanos,
        delta.storedBytes,
      ],
    )
  }
}

export async function hasUnfinishedRows(db: Queryable, batchId: string): Promise<boolean> {
  const text = `SELECT 1 FROM batch_rows WHERE batch_id = $1::text AND status IN ('pending', 'queued', 'running') LIMIT 1`
  return (await queryFirst(db, text, [batchId])) !== undefined
}

/** Output lines in one page, but for the last one of it. */
const PAGE_BYTES = 16 * 1024 * 1024

/** Gives every row that has no result the same error. */
export async function closeUnfinishedRows(
  tx: RunTransaction,
  batchId: string,
  status: 'cancelled' | 'failed',
  error: RowError,
): Promise<void> {
  await tx.query(
    `UPDATE batch_rows SET status = $2::text, error = $3::jsonb, updated_at = now()
     WHERE batch_id = $1::text AND status IN ('pending', 'queued', 'running')`,
    [batchId, status, JSON.stringify(error)],
  )
}

/** A page of rows, cut where their lines are large: at least one, where there is one. */
export async function selectRows(db: Queryable, batchId: string, after: number, limit: number): Promise<BatchRowRow[]> {
  const { rows } = await db.query<BatchRowRow>(
    `SELECT * FROM (
       SELECT *, sum(octet_length(output_line)) OVER (ORDER BY row_index) - octet_length(output_line) AS bytes_before
       FROM batch_rows WHERE batch_id = $1::text AND row_index > $2::integer ORDER BY row_index LIMIT $3::integer) AS page
     WHERE coalesce(bytes_before, 0) < $4::bigint ORDER BY row_index`,
    [batchId, after, limit, PAGE_BYTES],
  )
  return rows
}

export async function hasRowsAfter(db: Queryable, batchId: string, rowIndex: number): Promise<boolean> {
  const text = 'SELECT 1 FROM batch_rows WHERE batch_id = $1::text AND row_index > $2::integer LIMIT 1'
  return (await queryFirst(db, text, [batchId, rowIndex])) !== undefined
}

/** A page of the rows that have a line in the file asked for, in row order. */
export async function selectFinishedRows(
  db: Queryable,
  batchId: string,
  which: 'completed' | 'not_completed',
  after: number,
  limit: number,
): Promise<Pick<BatchRowRow, 'row_index' | 'custom_id' | 'request_id' | 'output_line' | 'error'>[]> {
  const { rows } = await db.query<
    Pick<BatchRowRow, 'row_index' | 'custom_id' | 'request_id' | 'output_line' | 'error'>
  >(
    `SELECT * FROM (
       SELECT row_index, custom_id, request_id, output_line, error,
         sum(octet_length(output_line)) OVER (ORDER BY row_index) - octet_length(output_line) AS bytes_before
       FROM batch_rows
       WHERE batch_id = $1::text AND row_index > $2::integer AND (status = 'completed') = $3::boolean
       ORDER BY row_index LIMIT $4::integer) AS page
     WHERE coalesce(bytes_before, 0) < $5::bigint ORDER BY row_index`,
    [batchId, after, which === 'completed', limit, PAGE_BYTES],
  )
  return rows
}
