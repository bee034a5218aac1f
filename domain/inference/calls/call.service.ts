import type { Metrics } from '../../../infra/metrics.ts'
import { keepContents } from '../capture/content.service.ts'
import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import type { Reservation } from '../../money/leases/balances.ts'
import { lockAccounts } from '../../money/ledger/ledger.service.ts'
import type { CallRecord } from './call.rules.ts'
import { insertCalls, type RecordedCalls } from './call.sql.ts'
import { createGroupCommit } from '../../../infra/postgres/group-commit.ts'

interface Finished {
  call: CallRecord
  reservation: Reservation
}

/** Makes a finished call durable: recorded and charged, once. The caller's reply waits for it. What it reserved is settled with that. */
export type RecordCall = (call: CallRecord, reservation: Reservation) => Promise<void>

export function createCallRecorder(deps: { db: Database; metrics: Metrics }): RecordCall {
  const commit = createGroupCommit<Finished, void>(async group => {
    await recordDirectCalls(
      deps.db,
      group.map(({ call }) => call),
    )
    group.forEach(({ call, reservation }) => reservation.settle(call.costNanos))
    deps.metrics.commitSize.observe(group.length)
    return group.map(() => undefined)
  })
  return (call, reservation) => {
    countCall(deps.metrics, call)
    return commit({ call, reservation })
  }
}

/** Records and charges calls of no job: in one statement, and so in one round trip, where nothing else is kept of them. */
const recordDirectCalls = (db: Database, calls: readonly CallRecord[]): Promise<RecordedCalls> =>
  calls.some(call => call.content !== undefined)
    ? inTransaction(db, tx => recordCalls(tx, calls))
    : insertCalls(db, calls)

/** Records and charges calls in a transaction, each once however often it comes. Locks their accounts. */
export async function recordCalls(tx: Transaction, calls: readonly CallRecord[]): Promise<RecordedCalls> {
  const sent = [lockAccounts(tx, [...new Set(calls.map(call => call.owner.userId))]), keepContents(tx, calls)]
  const recorded = insertCalls(tx, calls)
  await Promise.allSettled([...sent, recorded])
  // The first that failed says why; those behind it only that the transaction was aborted.
  for (const earlier of sent) await earlier
  return recorded
}

export function countCall(metrics: Metrics, call: CallRecord): void {
  metrics.modelCalls.inc({ upstream: call.upstream ?? 'none', surface: call.surface, status: call.status })
  metrics.tokens.inc({ model: call.model, direction: 'in' }, call.usage.input)
  metrics.tokens.inc({ model: call.model, direction: 'out' }, call.usage.output)
}
