import { Context } from '@temporalio/activity'
import { deleteExpired } from '../domain/capture/retention.ts'
import type { Database } from '../infra/postgres/database.ts'

export const createRetentionActivities = (deps: { db: Database }) => ({
  /** Gives how many were deleted by this attempt. */
  deleteExpiredContents: (): Promise<number> => {
    const context = Context.current()
    return deleteExpired(deps, { signal: context.cancellationSignal, deleted: total => context.heartbeat(total) })
  },
})

export type RetentionActivities = ReturnType<typeof createRetentionActivities>
