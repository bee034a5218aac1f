import { proxyActivities } from '@temporalio/workflow'
import type { RetentionActivities } from '../activities/inference/retention.ts'
import { untilSuccess } from './durable/retry-policies.ts'

const control = proxyActivities<RetentionActivities>({
  taskQueue: 'control',
  startToCloseTimeout: '6 hours',
  scheduleToCloseTimeout: '20 hours',
  heartbeatTimeout: '1 minute',
  retry: untilSuccess,
})

/** Removes what is past its retention, a bounded step at a time; started by its schedule once a day. */
export async function retention(): Promise<{ removed: number; contents: number; months: string[] }> {
  const contents = await control.deleteExpiredContents.executeWithOptions({ summary: 'contents that have expired' }, [])
  let removed = 0
  for (let from: string | undefined = undefined, isOver = false; !isOver;) {
    const args: [string?] = from === undefined ? [] : [from]
    const step = await control.removeExpired.executeWithOptions(
      { summary: `rows from ${from ?? 'the first'} on` },
      args,
    )
    removed += step.removed
    from = step.next ?? undefined
    isOver = step.next === null
  }
  const months = await control.dropEmptiedMonths.executeWithOptions({ summary: 'months of which nothing is left' }, [])
  return { removed, contents, months }
}
