import type { Database } from '../../../infra/postgres/database.ts'
import { deleteOldEvents } from './event-log.sql.ts'

/** How a log ended outlives how it came about; after that nothing of it is left. */
const RETENTION = [
  { days: 7, kept: 2 },
  { days: 30, kept: 0 },
]
const LOGS_AT_ONCE = 200

/** Removes events that are past their retention; true where there may be more. */
export async function sweepEvents(db: Database): Promise<boolean> {
  const removed = await Promise.all(RETENTION.map(stage => deleteOldEvents(db, stage, LOGS_AT_ONCE)))
  return removed.includes(LOGS_AT_ONCE)
}
