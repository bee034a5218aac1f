import { afterAll, beforeAll } from '@jest/globals'
import { EVENTS } from '../../domain/durable/outbox/events.sql.ts'
import { endJob, startJob } from '../../domain/durable/jobs/jobs.service.ts'
import { JOB_COMMANDS, JOB_SLOTS, type JobRow } from '../../domain/durable/jobs/jobs.sql.ts'
import { BATCH_JOBS } from '../../domain/work/batches/batch.rules.ts'
import { TURN_JOBS } from '../../domain/work/turns/turn.rules.ts'
import { VIDEO_JOBS } from '../../domain/work/videos/video.rules.ts'
import type { JobKind, JobRun } from '../../domain/durable/jobs/jobs.rules.ts'
import { newId } from '../../domain/core/ids.ts'
import { createUser } from '../../domain/tenancy/accounts/account.service.ts'
import { createLog } from '../../infra/log.ts'
import { inTransaction, openDatabase, type Database } from '../../infra/postgres/database.ts'
import { openListener, type Listener } from '../../infra/postgres/listener.ts'
import { migrate } from '../../infra/postgres/migrate.ts'
import type { WorkflowClient, WorkflowState } from '../../infra/temporal/workflow-client.ts'
import { createDatabase } from '../cli/own-database.ts'

export const silentLog = createLog('test', 'silent')

/** Nobody polls it: workflows started on it stay as they are. */
const QUIET_QUEUE = 'nobody-polls-this'

export interface JobBench {
  db: Database
  listener: Listener
  log: typeof silentLog
  /** A committed job, of an account of its own unless told; gives its id. */
  newJob(of?: { userId?: string; kind?: JobKind; deadlineAt?: Date }): Promise<string>
  newUser(): Promise<string>
  /** Ends jobs as features do. */
  endJob: (run: JobRun, outcome?: string) => Promise<void>
  job(id: string): Promise<JobRow>
  commands(id: string): Promise<CommandState[]>
  /** Makes the job look untouched for so long. */
  untouchedFor(id: string, seconds: number): Promise<void>
}

interface CommandState {
  command: string
  run: number
  delivered: boolean
  attempts: number
  last_error: string | null
}

/** A database of its own, where no worker carries commands or reconciles jobs but the test's. */
export function jobBench(): JobBench {
  const bench = {} as JobBench
  const ends: (() => Promise<void>)[] = []
  beforeAll(async () => {
    const own = await createDatabase()
    await migrate(own.url)
    const db = openDatabase({ url: own.url, poolSize: 6, applicationName: 'ipop-test-jobs' })
    const listener = await openListener(own.url, [EVENTS, JOB_COMMANDS, JOB_SLOTS], silentLog)
    ends.push(
      () => listener.close(),
      () => db.close(),
      () => own.drop(),
    )
    Object.assign(bench, { db, listener, log: silentLog, ...jobsIn(db) })
  })
  afterAll(async () => {
    for (const end of ends) await end()
  })
  return bench
}

const jobsIn = (db: Database) => ({
  newUser: async () => (await createUser({ db }, 'test')).id,
  endJob: async (run: JobRun, outcome = 'completed') => {
    await inTransaction(db, tx => endJob(tx, run, outcome))
  },
  newJob: async ({
    userId,
    kind = BATCH_JOBS,
    deadlineAt,
  }: { userId?: string; kind?: JobKind; deadlineAt?: Date } = {}) => {
    const resourceId = newId('batch')
    const owner = { userId: userId ?? (await createUser({ db }, 'test')).id, projectId: null }
    await inTransaction(db, tx =>
      startJob(
        tx,
        { ...kind, workflow: 'batch', queue: QUIET_QUEUE },
        {
          resourceId,
          owner,
          ...(deadlineAt && { deadlineAt }),
          input: { batchId: resourceId, deadlineAt: new Date().toISOString() },
          summary: 'a job of a test',
          fileIds: [],
        },
      ),
    )
    return resourceId
  },
  job: async (id: string) => {
    const { rows } = await db.query<JobRow>('SELECT * FROM jobs WHERE resource_id = $1', [id])
    if (rows[0] === undefined) throw new Error(`no job ${id}`)
    return rows[0]
  },
  commands: async (id: string) =>
    (
      await db.query<CommandState>(
        `SELECT command, run, delivered_at IS NOT NULL AS delivered, attempts, last_error FROM job_commands
         WHERE resource_id = $1 ORDER BY id`,
        [id],
      )
    ).rows,
  untouchedFor: async (id: string, seconds: number) => {
    await db.query(`UPDATE jobs SET touched_at = now() - $2::integer * interval '1 s' WHERE resource_id = $1`, [
      id,
      seconds,
    ])
  },
})

export interface ScriptedWorkflows extends WorkflowClient {
  /** Every call in its order: `start batch_….1`. */
  calls: string[]
}

export const JOB_KINDS: readonly JobKind[] = [BATCH_JOBS, TURN_JOBS, VIDEO_JOBS]

/** For a relay whose jobs are ended by nothing else. */
export const endingWith = ({ endJob: end }: JobBench) => {
  const cancelled = (run: JobRun) => end(run, 'cancelled')
  return JOB_KINDS.map(kind => ({ ...kind, endWaiting: cancelled }))
}

/** A Temporal that does as told and remembers what it was asked. */
export function scriptedWorkflows(script: {
  /** Before a call is answered: wait, or throw. */
  onCall?: (call: string) => Promise<void>
  states?: Record<string, WorkflowState>
}): ScriptedWorkflows {
  const calls: string[] = []
  const answer = async (call: string) => {
    calls.push(call)
    await script.onCall?.(call)
  }
  return {
    calls,
    start: ({ workflowId }) => answer(`start ${workflowId}`),
    cancel: workflowId => answer(`cancel ${workflowId}`),
    signal: workflowId => answer(`signal ${workflowId}`),
    describe: async workflowId => {
      await answer(`describe ${workflowId}`)
      return script.states?.[workflowId] ?? 'running'
    },
  }
}
