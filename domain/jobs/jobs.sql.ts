import { queryFirst, type Queryable, type Transaction } from '../../infra/postgres/database.ts'
import type { Owner } from '../tenancy/tenancy.rules.ts'
import type { JobKind, JobRun } from './jobs.rules.ts'

/** Wakes the relay. */
export const JOB_COMMANDS = 'ipop_job_commands'
/** Payload: a resource id whose work must stop now: every process aborts its upstream calls. */
export const JOB_CANCELS = 'ipop_job_cancels'

export interface JobRow {
  resource_id: string
  kind: JobKind
  workflow: string
  task_queue: string
  user_id: string
  project_id: string | null
  run: number
  state: 'open' | 'ended'
  outcome: string | null
  summary: string
  input: object
  lost_runs: number
  created_at: Date
  touched_at: Date
  ended_at: Date | null
}

export interface ClaimedCommand {
  id: bigint
  resource_id: string
  run: number
  command: 'start' | 'cancel' | 'signal'
  signal: string | null
  payload: unknown
  attempts: number
  job: JobRow
}

export interface NewJob {
  kind: JobKind
  resourceId: string
  owner: Owner
  workflow: string
  taskQueue: string
  input: object
  /** One line for operators; holds no content. */
  summary: string
  /** Files that the job reads: they cannot be deleted before it ends. */
  fileIds: string[]
}

/** Makes the job with the command that starts it, and wakes the relay. */
export async function insertJob(tx: Transaction, job: NewJob): Promise<void> {
  await tx.query(
    `WITH job AS (
       INSERT INTO jobs (resource_id, kind, workflow, task_queue, user_id, project_id, input, summary, file_ids)
       VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::jsonb, $8::text, $9::text[])
       RETURNING resource_id, run
     ), command AS (
       INSERT INTO job_commands (resource_id, run, command) SELECT resource_id, run, 'start' FROM job
     )
     SELECT pg_notify($10::text, '')`,
    [
      job.resourceId,
      job.kind,
      job.workflow,
      job.taskQueue,
      job.owner.userId,
      job.owner.projectId,
      JSON.stringify(job.input),
      job.summary,
      job.fileIds,
      JOB_COMMANDS,
    ],
  )
}

/** Asks the relay for a command to the job's current run; nothing where the job has ended. */
export async function insertCommand(tx: Transaction, resourceId: string, command: 'start' | 'cancel'): Promise<void> {
  await tx.query(
    `INSERT INTO job_commands (resource_id, run, command)
     SELECT resource_id, run, $2::text FROM jobs WHERE resource_id = $1::text AND state = 'open'`,
    [resourceId, command],
  )
  await tx.query('SELECT pg_notify($1::text, $2::text)', [JOB_COMMANDS, ''])
}

export async function announceCancel(tx: Transaction, resourceId: string): Promise<void> {
  await tx.query('SELECT pg_notify($1::text, $2::text)', [JOB_CANCELS, resourceId])
}

export async function selectOpenJobIdsOfUser(tx: Transaction, userId: string): Promise<string[]> {
  const text = `SELECT resource_id FROM jobs WHERE user_id = $1::text AND state = 'open' FOR UPDATE`
  return (await tx.query<{ resource_id: string }>(text, [userId])).rows.map(row => row.resource_id)
}

export async function selectOpenJobReading(db: Queryable, fileId: string): Promise<string | undefined> {
  const text = `SELECT resource_id FROM jobs WHERE state = 'open' AND file_ids @> ARRAY[$1::text] LIMIT 1`
  return (await queryFirst<{ resource_id: string }>(db, text, [fileId]))?.resource_id
}

/** Says that the run is alive. False where it is not the current run of an open job: it must write nothing. */
export async function touchRun(tx: Queryable, { resourceId, run }: JobRun): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE jobs SET touched_at = now() WHERE resource_id = $1::text AND run = $2::integer AND state = 'open'`,
    [resourceId, run],
  )
  return rowCount === 1
}

/** Locks the jobs in one order; gives the current runs of those that are open. */
export async function lockRuns(
  tx: Transaction,
  runs: readonly JobRun[],
): Promise<Pick<JobRow, 'resource_id' | 'run'>[]> {
  const { rows } = await tx.query<Pick<JobRow, 'resource_id' | 'run' | 'state'>>(
    `SELECT resource_id, run, state FROM jobs WHERE resource_id = ANY($1::text[])
     ORDER BY resource_id FOR NO KEY UPDATE`,
    [[...new Set(runs.map(({ resourceId }) => resourceId))]],
  )
  return rows.filter(({ state }) => state === 'open')
}

/** Ends the job, once. False where this run is not the current one of an open job. */
export async function setJobEnded(tx: Transaction, { resourceId, run }: JobRun, outcome: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE jobs SET state = 'ended', outcome = $3::text, ended_at = now(), touched_at = now()
     WHERE resource_id = $1::text AND run = $2::integer AND state = 'open'`,
    [resourceId, run, outcome],
  )
  return rowCount === 1
}

export async function setNextRun(tx: Transaction, { resourceId, run }: JobRun): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE jobs SET run = run + 1, lost_runs = lost_runs + 1, touched_at = now()
     WHERE resource_id = $1::text AND run = $2::integer AND state = 'open'`,
    [resourceId, run],
  )
  return rowCount === 1
}

/** Open holds of jobs that ended so long ago, or that are none. */
export async function selectForgottenHolds(
  db: Queryable,
  endedForSeconds: number,
  limit: number,
): Promise<{ resource_id: string; user_id: string; project_id: string | null }[]> {
  const { rows } = await db.query<{ resource_id: string; user_id: string; project_id: string | null }>(
    `SELECT h.resource_id, h.user_id, j.project_id FROM holds h LEFT JOIN jobs j USING (resource_id)
     WHERE h.released_at IS NULL AND j.state IS DISTINCT FROM 'open'
       AND coalesce(j.ended_at, h.created_at) < now() - $1::integer * interval '1 s'
     LIMIT $2::integer`,
    [endedForSeconds, limit],
  )
  return rows
}

export async function selectOpenJobs(db: Queryable, limit: number): Promise<JobRow[]> {
  const text = `SELECT * FROM jobs WHERE state = 'open' ORDER BY created_at DESC LIMIT $1::integer`
  return (await db.query<JobRow>(text, [limit])).rows
}

/** Open jobs that nobody touched for 30 s and whose commands are all carried; claiming one touches it. */
export async function claimQuietJobs(db: Queryable, limit: number): Promise<JobRow[]> {
  const { rows } = await db.query<JobRow>(
    `UPDATE jobs SET touched_at = now() WHERE resource_id IN (
       SELECT resource_id FROM jobs j WHERE state = 'open' AND touched_at < now() - interval '30 s'
         AND NOT EXISTS (SELECT 1 FROM job_commands c WHERE c.resource_id = j.resource_id AND c.delivered_at IS NULL)
       ORDER BY touched_at LIMIT $1::integer FOR UPDATE SKIP LOCKED)
     RETURNING *`,
    [limit],
  )
  return rows
}

const LEASE_SECONDS = 15

/** The next commands that are due, oldest first, one a job. A command that is not settled in the lease is due again. */
export async function claimCommands(db: Queryable, limit: number): Promise<ClaimedCommand[]> {
  const { rows } = await db.query<ClaimedCommand>(
    `WITH due AS (
       SELECT id FROM job_commands c WHERE delivered_at IS NULL AND due_at <= now()
         AND id = (SELECT min(e.id) FROM job_commands e
           WHERE e.resource_id = c.resource_id AND e.delivered_at IS NULL)
       ORDER BY id LIMIT $1::integer FOR UPDATE SKIP LOCKED)
     UPDATE job_commands c SET attempts = attempts + 1, due_at = now() + $2::integer * interval '1 s'
     FROM due, jobs j WHERE c.id = due.id AND j.resource_id = c.resource_id
     RETURNING c.id, c.resource_id, c.run, c.command, c.signal, c.payload, c.attempts, to_jsonb(j) AS job`,
    [limit, LEASE_SECONDS],
  )
  return rows
}

export async function setCommandDelivered(db: Queryable, id: bigint): Promise<void> {
  await db.query('UPDATE job_commands SET delivered_at = now(), last_error = NULL WHERE id = $1::bigint', [id])
}

export async function setCommandFailed(db: Queryable, id: bigint, error: string, againAfterMs: number): Promise<void> {
  await db.query(
    `UPDATE job_commands SET last_error = $2::text, due_at = now() + $3::integer * interval '1 ms'
     WHERE id = $1::bigint AND delivered_at IS NULL`,
    [id, error, againAfterMs],
  )
}

export async function countWaitingCommands(db: Queryable): Promise<bigint> {
  const text = 'SELECT count(*) AS waiting FROM job_commands WHERE delivered_at IS NULL'
  return (await queryFirst<{ waiting: bigint }>(db, text))?.waiting ?? 0n
}
