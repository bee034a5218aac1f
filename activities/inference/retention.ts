import { Context } from '@temporalio/activity'
import { deleteExpired } from '../../domain/inference/capture/retention.ts'
import { dropEmptiedMonths, removeExpired, type RetentionStep } from '../../domain/durable/retention/retention.ts'
import type { Database } from '../../infra/postgres/database.ts'

export const createRetentionActivities = (deps: { db: Database }) => ({
  /** Gives how many were deleted by this attempt. */
  deleteExpiredContents: (): Promise<number> => {
    const context = Context.current()
    return deleteExpired(deps, { signal: context.cancellationSignal, deleted: total => context.heartbeat(total) })
  },
  removeExpired: (from?: string): Promise<RetentionStep> => {
    const context = Context.current()
    const heartbeat = (removed: number) => context.heartbeat(removed)
    return removeExpired(deps, from, { signal: context.cancellationSignal, heartbeat })
  },
  dropEmptiedMonths: (): Promise<string[]> => dropEmptiedMonths(deps),
})

export type RetentionActivities = ReturnType<typeof createRetentionActivities>
