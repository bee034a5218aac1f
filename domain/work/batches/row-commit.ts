import type { Metrics } from '../../../infra/metrics.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { CallRecord } from '../../inference/calls/call.rules.ts'
import { countCall, recordCalls } from '../../inference/calls/call.service.ts'
import { createGroupCommit } from '../../../infra/postgres/group-commit.ts'
import type { JobRun } from '../../durable/jobs/jobs.rules.ts'
import { inRuns, type RunTransaction } from '../../durable/jobs/run-transaction.ts'
import { availableNanos } from '../../money/ledger/ledger.service.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'
import { addToBatches, finishRows, type BatchDelta, type RowResult } from './row.sql.ts'

/** A row that is done: what it gave, and the call to charge where one succeeded. */
export interface FinishedRow {
  userId: string
  result: RowResult
  call: CallRecord | undefined
}

/** What the tenant can still spend after the commit. */
export interface RowCommitted {
  availableNanos: Nanos | undefined
  holdNanos: Nanos | undefined
}

/** Makes a row's result durable and charges its call, together and once. */
export type CommitRow = (row: FinishedRow) => Promise<RowCommitted>

export function createRowCommit(deps: { db: Database; metrics: Metrics }): CommitRow {
  return createGroupCommit<FinishedRow, RowCommitted>(async rows => {
    const committed = await inRuns(deps.db, rows.map(runOf), (tx, mayWrite) =>
      commitRows(
        tx,
        rows.filter(row => mayWrite(runOf(row))),
      ),
    )
    committed.calls.forEach(call => countCall(deps.metrics, call))
    deps.metrics.commitSize.observe(rows.length)
    return rows.map(row => ({
      availableNanos: committed.available.get(row.userId),
      holdNanos: committed.holds.get(row.result.batchId),
    }))
  })
}

const runOf = ({ result }: FinishedRow): JobRun => ({ resourceId: result.batchId, run: result.run })

const rowKey = (batchId: string, rowIndex: number): string => `${batchId} ${rowIndex}`

async function commitRows(tx: RunTransaction, rows: readonly FinishedRow[]) {
  const written = new Set(
    (
      await finishRows(
        tx,
        rows.map(row => row.result),
      )
    ).map(row => rowKey(row.batch_id, row.row_index)),
  )
  const won = rows.filter(({ result }) => written.has(rowKey(result.batchId, result.rowIndex)))
  const calls = won.flatMap(row => row.call ?? [])
  await addToBatches(tx, deltasOf(won))
  // At last: it locks the accounts.
  const recorded = calls.length === 0 ? undefined : await recordCalls(tx, calls)
  return {
    calls,
    available: new Map(recorded?.accounts.map(account => [account.user_id, availableNanos(account)])),
    holds: recorded?.holds ?? new Map<string, Nanos>(),
  }
}

function deltasOf(rows: readonly FinishedRow[]): BatchDelta[] {
  const deltas = new Map<string, BatchDelta>()
  for (const { result, call } of rows) {
    const empty = {
      batchId: result.batchId,
      completed: 0,
      failed: 0,
      storedBytes: 0,
      tokensIn: 0,
      tokensOut: 0,
      costNanos: 0n,
    }
    const delta = deltas.get(result.batchId) ?? empty
    if (result.error === null) delta.completed += 1
    else delta.failed += 1
    delta.storedBytes += Buffer.byteLength(result.outputLine ?? '')
    delta.tokensIn += call?.usage.input ?? 0
    delta.tokensOut += call?.usage.output ?? 0
    delta.costNanos += call?.costNanos ?? 0n
    deltas.set(result.batchId, delta)
  }
  return [...deltas.values()]
}
