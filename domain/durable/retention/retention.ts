import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { EMPTIED_MONTHS, EXPIRING } from './retention.rules.ts'
import { deleteExpiredRows, dropIfEmpty, selectOldMonths } from './retention.sql.ts'

const ROWS_AT_ONCE = 1_000
const STEP_MS = 60_000

interface Step {
  signal: AbortSignal
  heartbeat: (removed: number) => void
}

export interface RetentionStep {
  removed: number
  /** The table to go on with; null where all are done. */
  next: string | null
}

/**
 * Removes what has expired of the tables from this one on (undefined: from the first), a thousand rows a statement, for
 * a minute at most. Errors: the signal's.
 */
export async function removeExpired(
  { db }: { db: Database },
  from: string | undefined,
  { signal, heartbeat }: Step,
): Promise<RetentionStep> {
  const untilMs = Date.now() + STEP_MS
  let removed = 0
  for (const table of EXPIRING.slice(Math.max(0, EXPIRING.indexOf(from ?? '')))) {
    for (let deleted = ROWS_AT_ONCE; deleted === ROWS_AT_ONCE;) {
      if (Date.now() > untilMs) return { removed, next: table }
      signal.throwIfAborted()
      deleted = await deleteExpiredRows(db, table, ROWS_AT_ONCE)
      removed += deleted
      heartbeat(removed)
    }
  }
  return { removed, next: null }
}

/** Drops months of which nothing is left; gives their names. Errors: where a table is busy for a second. */
export async function dropEmptiedMonths({ db }: { db: Database }): Promise<string[]> {
  const dropped: string[] = []
  for (const [table, days] of Object.entries(EMPTIED_MONTHS)) {
    for (const month of await selectOldMonths(db, table, days)) {
      if (await inTransaction(db, tx => dropIfEmpty(tx, table, month))) dropped.push(month)
    }
  }
  return dropped
}
