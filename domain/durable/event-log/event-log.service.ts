import type { Queryable, Transaction } from '../../../infra/postgres/database.ts'
import { JobSuperseded } from '../jobs/superseded.ts'
import type { Append, LogEvent, LogState, LogWriter, NewEvent } from './event-log.rules.ts'
import { deleteLog, insertAppends, insertLog, selectEvents, selectLog, updateWriter } from './event-log.sql.ts'

/** Makes a log, in the transaction of its resource; the account keeps it. */
export const openLog = (tx: Transaction, logId: string, userId: string, first: NewEvent): Promise<void> =>
  insertLog(tx, logId, userId, first)

/** Forgets a log and its events. */
export const dropLog = (tx: Transaction, logId: string): Promise<void> => deleteLog(tx, logId)

/** Undefined where there is none. */
export const findLog = (db: Queryable, logId: string): Promise<LogState | undefined> => selectLog(db, logId)

const PAGE = 1_000

/** All events that are left of a log, in order. */
export async function readLog(db: Queryable, logId: string): Promise<LogEvent[]> {
  const events: LogEvent[] = []
  for (;;) {
    const page = await selectEvents(db, logId, events.at(-1)?.seq ?? 0, PAGE)
    events.push(...page)
    if (page.length < PAGE) return events
  }
}

/** Errors: plain where there is no such log. */
export async function requireLog(db: Queryable, logId: string): Promise<LogState> {
  const log = await selectLog(db, logId)
  if (log === undefined) throw new Error('a resource has lost its log')
  return log
}

/** Makes this the log's writer. Errors: JobSuperseded where a newer one has it, or it is closed. */
export async function claimLog(tx: Queryable, writer: LogWriter): Promise<LogState> {
  const log = await updateWriter(tx, writer)
  if (log === undefined) throw new JobSuperseded()
  return log
}

/** Appends in the transaction of what the events tell. Errors: JobSuperseded where another writer has the log. */
export async function appendIn(tx: Transaction, append: Append): Promise<void> {
  if (!(await insertAppends(tx, [append])).has(append.logId)) throw new JobSuperseded()
}
