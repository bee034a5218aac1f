import type { CallRecord } from '../../domain/inference/calls/call.rules.ts'
import { insertCalls } from '../../domain/inference/calls/call.sql.ts'
import { insertBatch } from '../../domain/work/batches/batch.sql.ts'
import { BATCH_JOBS } from '../../domain/work/batches/batch.rules.ts'
import { newId, newRequestId } from '../../domain/core/ids.ts'
import { endJob, startJob } from '../../domain/durable/jobs/jobs.service.ts'
import { addCredit, releaseHold, requireHold } from '../../domain/money/ledger/ledger.service.ts'
import { createApiKey } from '../../domain/tenancy/keys/keys.service.ts'
import { createUser } from '../../domain/tenancy/accounts/account.service.ts'
import { inTransaction, type Database, type Transaction } from '../../infra/postgres/database.ts'

const USD = 1_000_000_000n
const MOST_COST = 2n * USD

/** Books in order, written by the product's own services, with the ids by which a test can break them. */
export interface Books {
  userId: string
  chatCallId: string
  endedBatchId: string
  openBatchId: string
  batchCallId: string
}

interface Payer {
  userId: string
  keyId: string
}

/** A chat call of 0.50 USD, an ended batch of two calls and a failed row, and a batch that runs. */
export async function keepBooks(db: Database): Promise<Books> {
  const { id: userId } = await createUser({ db }, 'books')
  await addCredit({ db }, userId, 10n * USD, 'to begin with')
  const { key } = await createApiKey({ db }, { userId, name: 'books' })
  const payer = { userId, keyId: key.id }
  const chatCall = callOf(payer, null, USD / 2n)
  await inTransaction(db, tx => insertCalls(tx, [chatCall]))
  const ended = await inTransaction(db, tx => runBatch(tx, payer, 2))
  await inTransaction(db, tx => endBatch(tx, payer, ended.id))
  const open = await inTransaction(db, tx => runBatch(tx, payer, 1))
  return {
    userId,
    chatCallId: chatCall.id,
    endedBatchId: ended.id,
    openBatchId: open.id,
    batchCallId: ended.callIds[0] ?? '',
  }
}

async function runBatch(tx: Transaction, payer: Payer, callCount: number) {
  const id = newId('batch')
  const owner = { userId: payer.userId, projectId: null }
  const rules = { allowedModels: null, externalProcessing: true, smokeTest: false }
  const inputFileId = newId('file')
  await insertBatch(tx, {
    id,
    owner,
    keyId: payer.keyId,
    rules,
    endpoint: 'chat_completions',
    inputFileId,
    metadata: null,
    windowSeconds: 3600,
  })
  await startJob(tx, BATCH_JOBS, { resourceId: id, owner, input: {}, summary: '', fileIds: [] })
  await requireHold(tx, { resourceId: id, run: 1 }, owner, MOST_COST, () => new Error('no credit'))
  const calls = Array.from({ length: callCount }, () => callOf(payer, id, USD / 5n))
  await insertCalls(tx, calls)
  await insertRows(tx, id, calls)
  return { id, callIds: calls.map(call => call.id) }
}

/** A completed row for each call, and one that failed. */
async function insertRows(tx: Transaction, batchId: string, calls: readonly CallRecord[]): Promise<void> {
  await tx.query(
    `INSERT INTO batch_rows (batch_id, row_index, request_id, status, byte_offset, byte_length)
     SELECT $1, n - 1, id, CASE WHEN n <= $3::integer THEN 'completed' ELSE 'failed' END, 0, 1
     FROM unnest($2::uuid[]) WITH ORDINALITY AS r(id, n)`,
    [batchId, [...calls.map(call => call.id), newRequestId()], calls.length],
  )
  await tx.query(
    `UPDATE batches SET status = 'in_progress', started_at = now(), rows_total = $2::integer + 1, rows_completed = $2,
       rows_failed = 1, tokens_in = 10 * $2, tokens_out = 20 * $2, cost_nanos = $3 WHERE id = $1`,
    [batchId, calls.length, calls.reduce((sum, call) => sum + call.costNanos, 0n)],
  )
}

async function endBatch(tx: Transaction, payer: Payer, batchId: string): Promise<void> {
  await releaseHold(tx, batchId, { userId: payer.userId, projectId: null })
  await endJob(tx, { resourceId: batchId, run: 1 }, 'completed')
  await tx.query(`UPDATE batches SET status = 'completed', completed_at = now() WHERE id = $1`, [batchId])
}

export const callOf = ({ userId, keyId }: Payer, batchId: string | null, costNanos: bigint): CallRecord => ({
  id: newRequestId(),
  owner: { userId, projectId: null },
  keyId,
  surface: batchId === null ? 'chat' : 'batch',
  resourceId: batchId,
  model: 'openai/gpt-5-nano',
  upstream: 'sandbox',
  upstreamModel: 'openai/gpt-5-nano',
  status: 'completed',
  errorCode: null,
  streamed: false,
  usage: { input: 10, output: 20 },
  usageSource: 'upstream',
  costNanos,
  providerBilled: false,
  requestedModel: null,
  metadata: null,
  replayOf: null,
  credentialId: null,
  cacheHit: false,
  fallbackCount: 0,
  durationMs: 1,
  firstTokenMs: null,
  createdAt: new Date(),
})
