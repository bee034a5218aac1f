import { queryFirst, type PreparedStatement, type Queryable } from '../../../infra/postgres/database.ts'
import type { JobRow } from './jobs.sql.ts'

/** A command with the job that it is for. */
export interface ClaimedCommand {
  id: bigint
  resource_id: string
  run: number
  command: 'start' | 'cancel' | 'signal' | 'end'
  signal: string | null
  payload: unknown
  attempts: number
  background: boolean
  job: JobRow
}

const LEASE_SECONDS = 15

/**
 * The next commands that are due: those of accounts in turn, one a job, interactive ones first and of the others at
 * most `background`. A command that is not settled in the lease is due again.
 */
export async function claimCommands(db: Queryable, limit: number, background: number): Promise<ClaimedCommand[]> {
  const { rows } = await db.query<ClaimedCommand>(CLAIM_COMMANDS, [limit, background, LEASE_SECONDS])
  return rows
}

/** In their order; but a start or an end goes before signals, which a job may get while it waits for its slot. */
const GOES_BEFORE = `CASE
  WHEN e.command = 'signal' AND c.command IN ('start', 'end') THEN false
  WHEN c.command = 'signal' AND e.command IN ('start', 'end') THEN true
  ELSE e.id < c.id END`

/** Of each account at most `limit` are looked at, found by index: one with thousands costs no more than others. */
const CLAIM_COMMANDS: PreparedStatement = {
  name: 'claim_commands',
  text: `
WITH RECURSIVE accounts AS (
  (SELECT user_id FROM job_commands WHERE delivered_at IS NULL ORDER BY user_id LIMIT 1)
  UNION ALL
  SELECT (SELECT c.user_id FROM job_commands c WHERE c.delivered_at IS NULL AND c.user_id > a.user_id
          ORDER BY c.user_id LIMIT 1)
  FROM accounts a WHERE a.user_id IS NOT NULL
), heads AS (
  SELECT h.id, h.background, row_number() OVER (PARTITION BY a.user_id ORDER BY h.background, h.id) AS turn
  FROM accounts a CROSS JOIN LATERAL (
    SELECT c.id, c.background FROM job_commands c
    WHERE c.delivered_at IS NULL AND c.user_id = a.user_id AND c.due_at <= now() AND NOT EXISTS (
      SELECT FROM job_commands e WHERE e.resource_id = c.resource_id AND e.delivered_at IS NULL AND ${GOES_BEFORE})
      AND (c.command <> 'signal' OR NOT EXISTS (
        SELECT FROM jobs j WHERE j.resource_id = c.resource_id AND j.state = 'open' AND j.slot <> 'given'))
    ORDER BY c.background, c.id LIMIT $1::integer) h
), ranked AS (
  SELECT id, turn, background, row_number() OVER (PARTITION BY background ORDER BY turn, id) AS nth FROM heads
), due AS (
  SELECT id FROM job_commands WHERE delivered_at IS NULL AND due_at <= now() AND id IN (
    SELECT id FROM ranked WHERE NOT background OR nth <= $2::integer ORDER BY background, turn, id LIMIT $1::integer)
  FOR UPDATE SKIP LOCKED
)
UPDATE job_commands c SET attempts = attempts + 1, due_at = now() + $3::integer * interval '1 s'
FROM due, jobs j WHERE c.id = due.id AND j.resource_id = c.resource_id
RETURNING c.id, c.resource_id, c.run, c.command, c.signal, c.payload, c.attempts, c.background, to_jsonb(j) AS job`,
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
