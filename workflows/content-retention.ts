import { proxyActivities } from '@temporalio/workflow'
import type { RetentionActivities } from '../activities/retention.ts'
import { untilItSucceeds } from './retry-policies.ts'

const control = proxyActivities<RetentionActivities>({
  taskQueue: 'control',
  startToCloseTimeout: '6 hours',
  scheduleToCloseTimeout: '20 hours',
  heartbeatTimeout: '1 minute',
  retry: untilItSucceeds,
})

/** Deletes kept requests and replies whose retention has ended; started by its schedule once a day. */
export async function contentRetention(): Promise<{ deleted: number }> {
  return { deleted: await control.deleteExpiredContents.executeWithOptions({ summary: 'delete what has expired' }, []) }
}
