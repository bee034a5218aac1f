import { createBatchActivities } from '../activities/batches.ts'
import { createRetentionActivities } from '../activities/retention.ts'
import { createTurnActivities } from '../activities/turns.ts'
import { createVideoActivities } from '../activities/videos.ts'
import type { WorkerDeps } from './runtime.ts'

export interface Queue {
  name: string
  /** Whether workflows run on it too. */
  runsWorkflows: boolean
  activities: Record<string, (...args: never[]) => Promise<unknown>>
  /** Activities of a process at once. */
  atOnce: number
}

/** What `ipop worker <role>` may be told to run. */
export const ROLES = ['control', 'interactive', 'model', 'media'] as const
export type Role = (typeof ROLES)[number]

/**
 * The queues of each role. What somebody waits for has its own queue, workflows and steps, in a process apart from
 * batches; whole files are read and written apart from chunks, of which a process may have hundreds.
 */
export const queuesOf = (deps: WorkerDeps): Record<Role, Queue[]> => {
  const { runTurn, endTurn } = createTurnActivities(deps)
  const { runBatchChunk, validateBatch, finalizeBatch } = createBatchActivities(deps)
  const { submitVideo, pollVideo, storeVideo, endVideo } = createVideoActivities(deps)
  const queue = (name: string, atOnce: number, activities: Queue['activities'], runsWorkflows = false): Queue => ({
    name,
    runsWorkflows,
    activities,
    atOnce,
  })
  // Steps of jobs from before a queue was divided are scheduled on the old one.
  const earlier = { runTurn, endTurn, validateBatch, finalizeBatch }
  return {
    control: [queue('control', 16, { ...createRetentionActivities(deps), endVideo, ...earlier }, true)],
    interactive: [queue('interactive', 1_000, { runTurn, endTurn }, true)],
    // Chunks wait cheaply: the gate bounds the calls, and every account's chunks must get to it.
    model: [queue('model', 500, { runBatchChunk, runTurn }), queue('files', 8, { validateBatch, finalizeBatch })],
    media: [queue('media', 50, { submitVideo, pollVideo, storeVideo })],
  }
}
