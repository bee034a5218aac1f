import type { Queryable } from '../../../infra/postgres/database.ts'
import type { JobKind } from './jobs.rules.ts'

/** Gives slots to those who waited longest, as many as their accounts have free; those past their deadline get one anyway. */
export async function giveSlots(db: Queryable, kinds: readonly JobKind[]): Promise<number> {
  const { rowCount } = await db.query(GIVE_SLOTS, [
    kinds.map(({ kind }) => kind),
    kinds.map(({ slots }) => slots.running),
    SLOTS_LOCK,
  ])
  return rowCount
}

/** One process gives slots at a time. */
const SLOTS_LOCK = 1_702_002_801

const GIVE_SLOTS = `
WITH mine AS MATERIALIZED (
  SELECT 1 WHERE pg_try_advisory_xact_lock($3::bigint)
), waiting AS (
  SELECT resource_id, user_id, kind, coalesce(deadline_at <= now(), false) AS is_late,
    row_number() OVER (PARTITION BY user_id, kind ORDER BY created_at, resource_id) AS nth
  FROM jobs, mine WHERE state = 'open' AND slot = 'waiting'
), given AS (
  SELECT user_id, kind, count(*) AS jobs FROM jobs
  WHERE state = 'open' AND slot = 'given' AND (user_id, kind) IN (SELECT user_id, kind FROM waiting) GROUP BY user_id, kind
), chosen AS (
  SELECT w.resource_id
  FROM waiting w JOIN unnest($1::text[], $2::integer[]) AS m(kind, running) USING (kind)
    LEFT JOIN given g USING (user_id, kind)
  WHERE w.is_late OR w.nth <= m.running - coalesce(g.jobs, 0)
), started AS (
  UPDATE jobs j SET slot = 'given', touched_at = now() FROM chosen c
  WHERE j.resource_id = c.resource_id AND j.state = 'open' AND j.slot = 'waiting'
  RETURNING j.resource_id, j.run, j.user_id, j.background
)
INSERT INTO job_commands (resource_id, run, command, user_id, background)
SELECT resource_id, run, 'start', user_id, background FROM started`
