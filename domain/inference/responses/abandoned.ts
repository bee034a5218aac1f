import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { appendIn, claimLog, findLog } from '../../durable/event-log/event-log.service.ts'
import { uuidOf } from '../../core/ids.ts'
import { stateEvent, type ResponseState } from './response.rules.ts'
import { stateOf } from './stored-response.ts'
import { deleteOldResponses, selectAbandoned, setResponseEnded } from './response.sql.ts'

/** A response that runs says so every 20 s; one that was quiet for longer has lost its process. */
const QUIET_SECONDS = 120
const RETENTION_DAYS = 30
const AT_ONCE = 100

/** Ends responses whose process died, and removes old ones; true where there may be more. */
export async function sweepResponses(db: Database): Promise<boolean> {
  const ended = await endAbandoned(db)
  const removed = await deleteOldResponses(db, RETENTION_DAYS, AT_ONCE)
  return ended === AT_ONCE || removed === AT_ONCE
}

async function endAbandoned(db: Database): Promise<number> {
  return inTransaction(db, async tx => {
    const rows = await selectAbandoned(tx, QUIET_SECONDS, AT_ONCE)
    for (const row of rows) {
      const error = { code: 'service_unavailable', message: 'The server that made this response went away. Try again.' }
      const failed: ResponseState = { ...stateOf(row, []), status: 'failed', error }
      await setResponseEnded(tx, { userId: row.user_id, projectId: row.project_id }, failed, '[]')
      await closeLog(tx, failed)
    }
    return rows.length
  })
}

/** A writer newer than the one that went away: should it come back, it writes nothing more. */
async function closeLog(tx: Parameters<typeof appendIn>[0], failed: ResponseState): Promise<void> {
  const writer = { logId: uuidOf(failed.id), run: 1, attempt: 1 }
  const log = await findLog(tx, writer.logId)
  if (log === undefined || log.closed_at !== null) return
  await claimLog(tx, writer)
  await appendIn(tx, { ...writer, step: 1, events: [stateEvent('response.failed', failed)], closes: true })
}
