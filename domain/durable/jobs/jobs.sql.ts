import {
  queryFirst,
  type PreparedStatement,
  type Queryable,
  type Transaction,
} from '../../../infra/postgres/database.ts'
import type { Owner } from '../../core/caller.rules.ts'
import type { JobKind, JobSlot, JobRun } from './jobs.rules.ts'

/** Wakes the relay. */
export const JOB_COMMANDS = 'ipop_job_commands'
/** Wakes who gives slots to jobs. */
export const JOB_SLOTS = 'ipop_job_slots'
/** Payload: a resource id whose work must stop now: every process aborts its upstream calls. */
export const JOB_CANCELS = 'ipop_job_cancels'

export interface JobRow {
  resource_id: string
  kind: string
  workflow: string
  task_queue: string
  user_id: string
  project_id: string | null
  run: number
  state: 'open' | 'ended'
  outcome: string | null
  slot: JobSlot
  summary: string
  input: object
  lost_runs: number
  /** What it used upstream that nobody was charged for. */
  uncharged_nanos: bigint
  created_at: Date
  touched_at: Date
  ended_at: Date | null
}

export interface NewJob {
  resourceId: string
  owner: Owner
  input: object
  /** One line for operators; holds no content. */
  summary: string
  /** Files that the job reads: they cannot be deleted before it ends. */
  fileIds: string[]
  /** When it must have ended, also where it has waited for its slot until then. */
  deadlineAt?: Date
}

/**
 * Makes the job; where its account has a slot for it, with the command that starts it. False where the account has
 * as many open jobs of its kind as it may.
 */
export async function insertJob(tx: Transaction, kind: JobKind, job: NewJob): Promise<boolean> {
  const { rowCount } = await tx.query(INSERT_JOB, [
    job.resourceId,
    kind.kind,
    kind.workflow,
    kind.queue,
    job.owner.userId,
    job.owner.projectId,
    JSON.stringify(job.input),
    job.summary,
    job.fileIds,
    job.deadlineAt ?? null,
    kind.slots.open,
    kind.slots.running,
    kind.isBackground,
    JOB_COMMANDS,
    JOB_SLOTS,
  ])
  return rowCount === 1
}

const INSERT_JOB: PreparedStatement = {
  name: 'insert_job',
  text: `
WITH others AS (
  SELECT count(*) AS open, count(*) FILTER (WHERE slot = 'given') AS given, count(*) FILTER (WHERE slot = 'waiting') AS waiting
  FROM jobs WHERE user_id = $5::text AND kind = $2::text AND state = 'open'
), job AS (
  INSERT INTO jobs (resource_id, kind, workflow, task_queue, user_id, project_id, input, summary, file_ids, deadline_at, background, slot)
  SELECT $1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::jsonb, $8::text, $9::text[], $10::timestamptz, $13::boolean,
    CASE WHEN given < $12::integer AND waiting = 0 THEN 'given' ELSE 'waiting' END
  FROM others WHERE open < $11::integer
  RETURNING resource_id, run, user_id, slot
), command AS (
  INSERT INTO job_commands (resource_id, run, command, user_id, background)
  SELECT resource_id, run, 'start', user_id, $13::boolean FROM job WHERE slot = 'given'
)
SELECT pg_notify(CASE slot WHEN 'given' THEN $14::text ELSE $15::text END, '') FROM job`,
}

/**
 * Opens an ended job under its next run; where its account has a slot for it, with the command that starts it. False
 * where the job has not ended, or the account has as many open jobs of its kind as it may.
 */
export async function insertNextRun(tx: Transaction, kind: JobKind, next: NextRun): Promise<number | undefined> {
  const { open, running } = kind.slots
  const values = [next.resourceId, kind.kind, JSON.stringify(next.input), next.summary, next.fileIds]
  const deadline = next.deadlineAt ?? null
  return (
    await queryFirst<{ run: number }>(tx, INSERT_NEXT_RUN, [
      ...values,
      deadline,
      open,
      running,
      JOB_COMMANDS,
      JOB_SLOTS,
    ])
  )?.run
}

export type NextRun = Omit<NewJob, 'owner'>

/** The job's row is locked first: of two who ask at once one finds it open. */
const INSERT_NEXT_RUN = `
WITH ended AS MATERIALIZED (
  SELECT resource_id, user_id FROM jobs WHERE resource_id = $1::text AND kind = $2::text AND state = 'ended' FOR UPDATE
), others AS (
  SELECT count(*) AS open, count(*) FILTER (WHERE slot = 'given') AS given, count(*) FILTER (WHERE slot = 'waiting') AS waiting
  FROM jobs WHERE user_id = (SELECT user_id FROM ended) AND kind = $2::text AND state = 'open'
), job AS (
  UPDATE jobs j SET run = j.run + 1, state = 'open', outcome = NULL, ended_at = NULL, touched_at = now(), lost_runs = 0,
    input = $3::jsonb, summary = $4::text, file_ids = $5::text[], deadline_at = $6::timestamptz,
    slot = CASE WHEN given < $8::integer AND waiting = 0 THEN 'given' ELSE 'waiting' END
  FROM ended, others WHERE j.resource_id = ended.resource_id AND others.open < $7::integer
  RETURNING j.resource_id, j.run, j.user_id, j.slot, j.background
), command AS (
  INSERT INTO job_commands (resource_id, run, command, user_id, background)
  SELECT resource_id, run, 'start', user_id, background FROM job WHERE slot = 'given'
)
SELECT run, pg_notify(CASE slot WHEN 'given' THEN $9::text ELSE $10::text END, '')::text FROM job`

/** Whether the job has ended; undefined where there is none. */
export async function selectJobState(tx: Queryable, resourceId: string): Promise<JobRow['state'] | undefined> {
  const text = 'SELECT state FROM jobs WHERE resource_id = $1::text'
  return (await queryFirst<Pick<JobRow, 'state'>>(tx, text, [resourceId]))?.state
}

/** A signal to the job's current run. False where the job has ended. */
export async function insertSignal(
  tx: Transaction,
  resourceId: string,
  signal: string,
  payload: unknown,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `WITH job AS (
       SELECT resource_id, run, user_id, background FROM jobs
       WHERE resource_id = $1::text AND state = 'open' AND slot <> 'withdrawn' FOR NO KEY UPDATE
     ), command AS (
       INSERT INTO job_commands (resource_id, run, command, signal, payload, user_id, background)
       SELECT resource_id, run, 'signal', $2::text, $3::jsonb, user_id, background FROM job
     )
     SELECT pg_notify($4::text, '') FROM job`,
    [resourceId, signal, JSON.stringify(payload), JOB_COMMANDS],
  )
  return rowCount === 1
}

/** Starts the job's current run; nothing where the job has ended. */
export async function insertStart(tx: Transaction, resourceId: string): Promise<void> {
  await tx.query(
    `INSERT INTO job_commands (resource_id, run, command, user_id, background)
     SELECT resource_id, run, 'start', user_id, background FROM jobs WHERE resource_id = $1::text AND state = 'open'`,
    [resourceId],
  )
  await tx.query('SELECT pg_notify($1::text, $2::text)', [JOB_COMMANDS, ''])
}

/**
 * Cancels the job's current run; one that waits for a slot is withdrawn, to be ended without a workflow. Nothing where
 * the job has ended.
 */
export async function insertCancel(tx: Transaction, resourceId: string): Promise<void> {
  await tx.query(
    `WITH withdrawn AS (
       UPDATE jobs SET slot = 'withdrawn' WHERE resource_id = $1::text AND state = 'open' AND slot = 'waiting'
       RETURNING resource_id
     )
     INSERT INTO job_commands (resource_id, run, command, user_id, background)
     SELECT resource_id, run, CASE WHEN EXISTS (SELECT FROM withdrawn) THEN 'end' ELSE 'cancel' END, user_id, background
     FROM jobs WHERE resource_id = $1::text AND state = 'open' AND slot <> 'withdrawn'`,
    [resourceId],
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
  const { rowCount } = await tx.query(SET_JOB_ENDED, [resourceId, run, outcome, JOB_SLOTS])
  return rowCount === 1
}

/** Its slot is free: who gives them is told where another job waits for it. */
const SET_JOB_ENDED: PreparedStatement = {
  name: 'set_job_ended',
  text: `
WITH ended AS (
  UPDATE jobs SET state = 'ended', outcome = $3::text, ended_at = now(), touched_at = now()
  WHERE resource_id = $1::text AND run = $2::integer AND state = 'open'
  RETURNING user_id, kind
)
SELECT CASE WHEN EXISTS (
    SELECT FROM jobs w WHERE w.user_id = e.user_id AND w.kind = e.kind AND w.state = 'open' AND w.slot = 'waiting')
  THEN pg_notify($4::text, '')::text END
FROM ended e`,
}

export async function setNextRun(tx: Transaction, { resourceId, run }: JobRun): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE jobs SET run = run + 1, lost_runs = lost_runs + 1, touched_at = now()
     WHERE resource_id = $1::text AND run = $2::integer AND state = 'open'`,
    [resourceId, run],
  )
  return rowCount === 1
}

/** Open jobs with a workflow that nobody touched for 30 s and whose commands are all carried; claiming one touches it. */
export async function claimQuietJobs(db: Queryable, limit: number): Promise<JobRow[]> {
  const { rows } = await db.query<JobRow>(
    `UPDATE jobs SET touched_at = now() WHERE resource_id IN (
       SELECT resource_id FROM jobs j WHERE state = 'open' AND slot = 'given' AND touched_at < now() - interval '30 s'
         AND NOT EXISTS (SELECT 1 FROM job_commands c WHERE c.resource_id = j.resource_id AND c.delivered_at IS NULL)
       ORDER BY touched_at LIMIT $1::integer FOR UPDATE SKIP LOCKED)
     RETURNING *`,
    [limit],
  )
  return rows
}
