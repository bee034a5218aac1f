import type { PreparedStatement, Queryable, Transaction } from '../../../infra/postgres/database.ts'

/** Wakes who dispatches events. */
export const EVENTS = 'ipop_events'

export interface EventRow {
  id: string
  user_id: string
  /** '' where it is of no project. */
  project_id: string
  seq: bigint
  type: string
  subject: string
  payload: Record<string, unknown>
  created_at: Date
}

export interface NewEvent {
  id: string
  userId: string
  projectId: string
  type: string
  subject: string
  payload: object
}

/** Locks the stream until the transaction ends. */
export async function insertEvent(tx: Transaction, event: NewEvent): Promise<void> {
  const { id, userId, projectId, type, subject, payload } = event
  await tx.query(INSERT_EVENT, [id, userId, projectId, type, subject, JSON.stringify(payload), EVENTS])
}

const INSERT_EVENT: PreparedStatement = {
  name: 'insert_event',
  text: `
WITH stream AS (
  INSERT INTO event_streams AS s (user_id, project_id, last_seq) VALUES ($2::text, $3::text, 1)
  ON CONFLICT (user_id, project_id) DO UPDATE SET last_seq = s.last_seq + 1
  RETURNING last_seq
), event AS (
  INSERT INTO project_events (id, user_id, project_id, seq, type, subject, payload, created_at)
  SELECT $1::uuid, $2::text, $3::text, last_seq, $4::text, $5::text, $6::jsonb, clock_timestamp() FROM stream
)
SELECT pg_notify($7::text, '')`,
}

const COLUMNS = 'id, user_id, project_id, seq, type, subject, payload, created_at'

export async function selectEventsAfter(
  db: Queryable,
  stream: { userId: string; projectId: string },
  afterSeq: bigint,
  limit: number,
): Promise<EventRow[]> {
  const { rows } = await db.query<EventRow>(
    `SELECT ${COLUMNS} FROM project_events WHERE user_id = $1::text AND project_id = $2::text AND seq > $3::bigint
     ORDER BY seq LIMIT $4::integer`,
    [stream.userId, stream.projectId, afterSeq, limit],
  )
  return rows
}

/**
 * Takes the first undispatched events of some streams, and marks them as dispatched if the transaction commits. A stream
 * is taken by one transaction at a time, so that its order is kept; those that another has are left to it.
 */
export async function takeEvents(tx: Transaction, streams: number, ofEach: number): Promise<EventRow[]> {
  return (await tx.query<EventRow>(TAKE_EVENTS, [streams, ofEach])).rows
}

/** The rows are looked at again as they are locked: who had the stream before may have dispatched them since. */
const TAKE_EVENTS = `
WITH streams AS MATERIALIZED (
  SELECT user_id, project_id
  FROM (SELECT DISTINCT user_id, project_id FROM project_events WHERE dispatched_at IS NULL LIMIT $1::integer) s
  WHERE pg_try_advisory_xact_lock(hashtextextended(user_id || ' ' || project_id, 7417002))
), due AS MATERIALIZED (
  SELECT e.id FROM streams s CROSS JOIN LATERAL (
    SELECT id FROM project_events e
    WHERE e.user_id = s.user_id AND e.project_id = s.project_id AND e.dispatched_at IS NULL
    ORDER BY e.seq LIMIT $2::integer) e
), claimed AS MATERIALIZED (
  SELECT id FROM project_events WHERE id IN (SELECT id FROM due) AND dispatched_at IS NULL FOR UPDATE SKIP LOCKED
), dispatched AS (
  UPDATE project_events e SET dispatched_at = now() FROM claimed c WHERE e.id = c.id RETURNING e.*
)
SELECT ${COLUMNS} FROM dispatched ORDER BY user_id, project_id, seq`
