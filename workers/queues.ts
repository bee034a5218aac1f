import { createRetentionActivities } from '../activities/inference/retention.ts'
import type { JobDefinition } from '../domain/durable/jobs/define-job.ts'
import { JOBS } from './jobs.ts'
import type { WorkerDeps } from './runtime.ts'

interface QueueRow {
  name: string
  /** Which `ipop worker <name>` works it off. */
  worker: string
  /** Whether workflows run on it too. */
  runsWorkflows: boolean
  /** Activities of a process at once. */
  atOnce: number
  /** What is looked at before the process begins. */
  needs: readonly 'objects'[]
}

/**
 * The queues, and the workers that work them off. What somebody waits for has its own, in a process apart from batches.
 * Chunks wait cheaply (the gate bounds the calls, and every account's chunks must get to it), whole files do not.
 */
const QUEUES = [
  { name: 'control', worker: 'control', runsWorkflows: true, atOnce: 16, needs: ['objects'] },
  { name: 'interactive', worker: 'interactive', runsWorkflows: true, atOnce: 1_000, needs: [] },
  { name: 'model', worker: 'model', runsWorkflows: false, atOnce: 500, needs: ['objects'] },
  { name: 'files', worker: 'model', runsWorkflows: false, atOnce: 8, needs: ['objects'] },
  { name: 'provider-jobs', worker: 'provider-jobs', runsWorkflows: false, atOnce: 50, needs: ['objects'] },
] as const satisfies readonly QueueRow[]

export type Role = (typeof QUEUES)[number]['worker']

/** What `ipop worker <name>` may be told to run. */
export const ROLES: readonly Role[] = [...new Set(QUEUES.map(({ worker }) => worker))]

export interface Queue extends QueueRow {
  activities: Record<string, (...args: never[]) => Promise<unknown>>
}

/** The queues of these workers, with what runs on each. Errors: where a job's activities are on a queue that is none. */
export function queuesOf(deps: WorkerDeps, roles: readonly Role[]): Queue[] {
  const queues = new Map<string, Queue>(QUEUES.map(queue => [queue.name, { ...queue, activities: {} }]))
  const add = (byQueue: ReturnType<JobDefinition<WorkerDeps>['activities']>) => {
    for (const [name, activities] of Object.entries(byQueue)) {
      const queue = queues.get(name)
      if (queue === undefined) throw new Error(`there is no queue ${name}`)
      Object.assign(queue.activities, activities)
    }
  }
  JOBS.forEach(job => add(job.activities(deps)))
  add({ control: createRetentionActivities(deps) })
  return [...queues.values()].filter(({ worker }) => roles.includes(worker as Role))
}
