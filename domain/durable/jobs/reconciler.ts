import type { Log } from '../../../infra/log.ts'
import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import type { WorkflowClient } from '../../../infra/temporal/workflow-client.ts'
import { createLoop, type Loop } from '../../../infra/loop.ts'
import { restartLostJob } from './jobs.service.ts'
import { kindOf, MOST_LOST_RUNS, workflowIdOf, type JobKind, type JobLoss, type JobRun } from './jobs.rules.ts'
import { claimQuietJobs, type JobRow } from './jobs.sql.ts'

/** A kind of jobs, and how one ends whose workflow is gone: called at least once. */
export interface ReconciledKind extends JobKind {
  endLost: (run: JobRun, loss: JobLoss) => Promise<void>
}

interface Deps {
  db: Database
  workflows: WorkflowClient
  log: Log
  jobs: readonly ReconciledKind[]
}

const AT_ONCE = 10
const LOOK_EVERY_MS = 5_000

/**
 * Compares open jobs that have been quiet for 30 s with their workflows. Running: nothing to do. Unknown to Temporal, or
 * completed: the next run is started, three times at most. A workflow completes only after its last step has ended the
 * job, so a completed one of an open job means that the database was restored from before that. Closed otherwise: the
 * job is ended. Temporal away: the job waits.
 */
export const startReconciler = (deps: Deps): Loop =>
  createLoop({ name: 'reconciler', everyMs: LOOK_EVERY_MS, log: deps.log, turn: () => reconcileQuiet(deps) })

async function reconcileQuiet(deps: Deps): Promise<boolean> {
  const jobs = await claimQuietJobs(deps.db, AT_ONCE)
  await Promise.all(jobs.map(job => reconcile(deps, job)))
  return jobs.length === AT_ONCE
}

async function reconcile(deps: Deps, job: JobRow): Promise<void> {
  const run = { resourceId: job.resource_id, run: job.run }
  const state = await deps.workflows.describe(workflowIdOf(run)).catch((error: unknown) => {
    deps.log.warn({ job: job.resource_id, err: error }, 'the workflow could not be looked up')
    return 'unreachable' as const
  })
  if (state === 'running' || state === 'unreachable') return
  if ((state === 'not_found' || state === 'completed') && job.lost_runs < MOST_LOST_RUNS) {
    deps.log.warn({ job: job.resource_id, run: job.run, state }, 'the workflow does no more: starting the next run')
    return inTransaction(deps.db, tx => restartLostJob(tx, run))
  }
  const loss = state === 'not_found' ? 'lost' : state
  deps.log.warn({ job: job.resource_id, run: job.run, loss }, 'ending a job without a workflow')
  await kindOf(deps.jobs, job.kind)
    .endLost(run, loss)
    .catch((error: unknown) => {
      deps.log.error({ job: job.resource_id, err: error }, 'the job could not be ended')
    })
}
