import { queryFirst, type Queryable } from '../../../infra/postgres/database.ts'
import type { JobRow } from './jobs.sql.ts'

/** What operators see. */
export async function selectOpenJobs(db: Queryable, limit: number): Promise<JobRow[]> {
  const text = `SELECT * FROM jobs WHERE state = 'open' ORDER BY created_at DESC LIMIT $1::integer`
  return (await db.query<JobRow>(text, [limit])).rows
}

/** Of any state. */
export async function selectUnchargedJobs(db: Queryable, limit: number): Promise<JobRow[]> {
  const text = `SELECT * FROM jobs WHERE uncharged_nanos > 0 ORDER BY created_at DESC LIMIT $1::integer`
  return (await db.query<JobRow>(text, [limit])).rows
}

export const selectJob = (db: Queryable, resourceId: string): Promise<JobRow | undefined> =>
  queryFirst<JobRow>(db, 'SELECT * FROM jobs WHERE resource_id = $1::text', [resourceId])

/** Also where another run has taken over, or the job has ended: it was paid all the same. */
export async function addUncharged(db: Queryable, resourceId: string, nanos: bigint): Promise<void> {
  await db.query('UPDATE jobs SET uncharged_nanos = uncharged_nanos + $2::bigint WHERE resource_id = $1::text', [
    resourceId,
    nanos.toString(),
  ])
}
