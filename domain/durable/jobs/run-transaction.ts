import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import type { JobRun } from './jobs.rules.ts'
import { lockRuns, setJobEnded, touchRun } from './jobs.sql.ts'
import { JobSuperseded } from './superseded.ts'

/**
 * The transaction of a run that holds its job's row: while it lasts the job is open and this is its current run. What
 * steps of jobs write asks for it, so that nothing can be written by a run that was superseded or has ended.
 * Lock order: job, the feature's own rows, the account at last.
 */
export interface RunTransaction extends Transaction {
  readonly isFenced: true
}

/** Does the work where the run may write. Errors: JobSuperseded where its job has ended or another run has it. */
export async function inRun<T>(db: Database, run: JobRun, work: (tx: RunTransaction) => Promise<T>): Promise<T> {
  return inTransaction(db, async tx => {
    if (!(await touchRun(tx, run))) throw new JobSuperseded()
    return work({ ...tx, isFenced: true })
  })
}

/** The same, for the last transaction of a job: it ends with it. */
export async function endRun<T>(
  db: Database,
  run: JobRun,
  outcome: string,
  work: (tx: RunTransaction) => Promise<T>,
): Promise<T> {
  return inTransaction(db, async tx => {
    if (!(await setJobEnded(tx, run, outcome))) throw new JobSuperseded()
    return work({ ...tx, isFenced: true })
  })
}

/** The same for several runs at once; the work is told which of them may write. */
export async function inRuns<T>(
  db: Database,
  runs: readonly JobRun[],
  work: (tx: RunTransaction, mayWrite: (run: JobRun) => boolean) => Promise<T>,
): Promise<T> {
  return inTransaction(db, async tx => {
    const current = new Map((await lockRuns(tx, runs)).map(({ resource_id, run }) => [resource_id, run]))
    return work({ ...tx, isFenced: true }, ({ resourceId, run }) => current.get(resourceId) === run)
  })
}
