import type { Queryable } from '../../../infra/postgres/database.ts'

/** Open holds of jobs that ended so long ago, or that are none. */
export async function selectOrphanedHolds(
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
