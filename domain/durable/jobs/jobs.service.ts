import type { Database, Queryable, Transaction } from '../../../infra/postgres/database.ts'
import { conflict, DomainError, notFound } from '../../core/errors.ts'
import type { JobKind, JobRun } from './jobs.rules.ts'
import { selectJob, selectOpenJobs, selectUnchargedJobs } from './job-lists.sql.ts'
import {
  announceCancel,
  insertCancel,
  insertJob,
  insertNextRun,
  insertSignal,
  insertStart,
  selectJobState,
  selectOpenJobIdsOfUser,
  selectOpenJobReading,
  setJobEnded,
  setNextRun,
  touchRun,
  type JobRow,
  type NewJob,
  type NextRun,
} from './jobs.sql.ts'

export { addUncharged } from './job-lists.sql.ts'

const RETRY_AFTER_SECONDS = 30

/**
 * Makes the job exist, in the transaction of its resource. The relay starts its workflow once its account has a slot
 * for it. Errors: 429 where the account has as many open jobs of this kind as it may.
 */
export async function startJob(tx: Transaction, kind: JobKind, job: NewJob): Promise<void> {
  if (!(await insertJob(tx, kind, job))) throw tooMany(kind)
}

function tooMany({ kind, slots: { open } }: JobKind): DomainError {
  const what = `jobs of this kind (${kind}) that have not ended`
  return new DomainError(429, 'rate_limit_exceeded', `The account has ${open} ${what}, the most that it may have.`, {
    type: 'too_many_jobs',
    retryAfterSeconds: RETRY_AFTER_SECONDS,
  })
}

/**
 * Starts the next run of a job that has ended, such as a retry or a reindex, in the transaction that opens its resource
 * again. What the run before wrote stays; that one writes nothing more. Gives the run, of which a hold may be started.
 * Errors: 404; 409 where the job has not ended; 429 as of a start.
 */
export async function startNextRun(tx: Transaction, kind: JobKind, next: NextRun): Promise<JobRun> {
  const { resourceId } = next
  const run = await insertNextRun(tx, kind, next)
  if (run !== undefined) return { resourceId, run }
  const state = await selectJobState(tx, resourceId)
  if (state === undefined) throw notFound('job', 'id')
  if (state === 'open') throw conflict(`${resourceId} has not ended: there is nothing to run again.`)
  throw tooMany(kind)
}

/**
 * Tells the job's workflow something, once, in the order of the calls, also where it has not begun. False where the job
 * has ended.
 */
export const signalJob = (tx: Transaction, resourceId: string, signal: string, payload: unknown): Promise<boolean> =>
  insertSignal(tx, resourceId, signal, payload)

/**
 * Asks the job to stop: upstream calls are aborted at once, its workflow is cancelled; one that waits for its slot is
 * ended without a workflow. Harmless where it has ended.
 */
export async function cancelJob(tx: Transaction, resourceId: string): Promise<void> {
  await insertCancel(tx, resourceId)
  await announceCancel(tx, resourceId)
}

export async function cancelJobsOfUser(tx: Transaction, userId: string): Promise<void> {
  for (const resourceId of await selectOpenJobIdsOfUser(tx, userId)) await cancelJob(tx, resourceId)
}

/**
 * Says that this run is alive, and fences it: false where another run has taken over or the job has ended,
 * and then nothing of this run may be written.
 */
export const touchJob = (tx: Queryable, run: JobRun): Promise<boolean> => touchRun(tx, run)

/** Ends the job in the transaction of its resource's last state. False where this run may not. */
export const endJob = (tx: Transaction, run: JobRun, outcome: string): Promise<boolean> => setJobEnded(tx, run, outcome)

/** Starts the next run of a job whose workflow is gone without a trace. */
export async function restartLostJob(tx: Transaction, run: JobRun): Promise<void> {
  if (await setNextRun(tx, run)) await insertStart(tx, run.resourceId)
}

/** The id of an open job that reads the file, where there is one. */
export const openJobReading = (db: Queryable, fileId: string): Promise<string | undefined> =>
  selectOpenJobReading(db, fileId)

/** The newest open jobs first. */
export const listOpenJobs = (deps: { db: Database }, limit: number): Promise<JobRow[]> => selectOpenJobs(deps.db, limit)

/** Those that used something upstream that nobody was charged for, running or ended, the newest first. */
export const listUnchargedJobs = (deps: { db: Database }, limit: number): Promise<JobRow[]> =>
  selectUnchargedJobs(deps.db, limit)

/** A job, running or ended. Errors: 404. */
export async function getJob(deps: { db: Database }, resourceId: string): Promise<JobRow> {
  const job = await selectJob(deps.db, resourceId)
  if (job === undefined) throw notFound('job')
  return job
}
