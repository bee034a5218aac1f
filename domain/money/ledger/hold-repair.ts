import type { Log } from '../../../infra/log.ts'
import type { Metrics } from '../../../infra/metrics.ts'
import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { releaseHold } from './ledger.service.ts'
import { selectOrphanedHolds } from './hold-repair.sql.ts'

interface Deps {
  db: Database
  metrics: Metrics
  log: Log
}

/** An ending releases its hold in its own transaction; what is open so long after it never will be. */
const ENDED_FOR_SECONDS = 60
const AT_ONCE = 100

/** Releases holds that outlived their jobs; true where there may be more. Each is a fault of ours, and told as one. */
export async function releaseOrphanedHolds(deps: Deps): Promise<boolean> {
  const orphaned = await selectOrphanedHolds(deps.db, ENDED_FOR_SECONDS, AT_ONCE)
  for (const { resource_id: resourceId, user_id: userId, project_id: projectId } of orphaned) {
    await inTransaction(deps.db, tx => releaseHold(tx, resourceId, { userId, projectId }))
    deps.metrics.orphanedHolds.inc()
    deps.log.error({ job: resourceId }, 'a hold had outlived its job: released')
  }
  return orphaned.length === AT_ONCE
}
