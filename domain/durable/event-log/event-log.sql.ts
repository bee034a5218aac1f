import { queryFirst, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { Append, LogEvent, LogState, LogWriter, NewEvent } from './event-log.rules.ts'

/** Wakes the readers of a log. Payload: its id. */
export const LOG_APPENDS = 'ipop_log_appends'

/** Makes a log with its first event. */
export async function insertLog(tx: Transaction, logId: string, userId: string, first: NewEvent): Promise<void> {
  await tx.query(
    `WITH log AS (
       INSERT INTO event_logs (id, last_seq, user_id, stored_bytes) VALUES ($1::uuid, 1, $4::text, octet_length($3::text))
       RETURNING id)
     INSERT INTO log_events (log_id, seq, type, data) SELECT id, 1, $2::text, $3::text::jsonb FROM log`,
    [logId, first.type, JSON.stringify(first.data), userId],
  )
}

/** Makes this the log's writer where it is newer than the last. Undefined where it is not, or the log is closed. */
export async function updateWriter(tx: Queryable, writer: LogWriter): Promise<LogState | undefined> {
  return queryFirst<LogState>(
    tx,
    `UPDATE event_logs SET writer_run = $2::integer, writer_attempt = $3::integer, writer_step = 0
     WHERE id = $1::uuid AND closed_at IS NULL AND (writer_run, writer_attempt) <= ($2::integer, $3::integer)
     RETURNING last_seq, removed_seq, closed_at`,
    [writer.logId, writer.run, writer.attempt],
  )
}

/**
 * Appends in order, each append once however often it comes, and wakes the readers. Gives the ids of the logs whose
 * appends are durable now; one that is missing has another writer or is closed.
 */
export async function insertAppends(tx: Transaction, appends: readonly Append[]): Promise<Set<string>> {
  const given = appends.map(append => ({
    log_id: append.logId,
    run: append.run,
    attempt: append.attempt,
    step: append.step,
    events: append.events,
    closes: append.closes,
  }))
  const { rows } = await tx.query<{ log_id: string }>(INSERT_APPENDS, [JSON.stringify(given), LOG_APPENDS])
  return new Set(rows.map(row => row.log_id))
}

/** A log has one append in a statement: its sequence numbers are taken once. */
const INSERT_APPENDS = `
WITH given AS (
  SELECT * FROM jsonb_to_recordset($1::jsonb)
    AS g(log_id uuid, run integer, attempt integer, step integer, events jsonb, closes boolean)
), locked AS (
  SELECT id, writer_step FROM event_logs l JOIN given g ON l.id = g.log_id
  WHERE l.writer_run = g.run AND l.writer_attempt = g.attempt AND (l.closed_at IS NULL OR l.writer_step >= g.step)
  ORDER BY l.id FOR UPDATE OF l
), moved AS (
  UPDATE event_logs l SET last_seq = l.last_seq + jsonb_array_length(g.events), writer_step = g.step,
    stored_bytes = l.stored_bytes + octet_length(g.events::text),
    closed_at = CASE WHEN g.closes THEN now() END
  FROM given g, locked k WHERE l.id = g.log_id AND k.id = l.id AND l.writer_step < g.step
  RETURNING l.id, l.last_seq - jsonb_array_length(g.events) AS before, g.events
), inserted AS (
  INSERT INTO log_events (log_id, seq, type, data)
  SELECT m.id, m.before + e.place, e.event ->> 'type', e.event -> 'data'
  FROM moved m, jsonb_array_elements(m.events) WITH ORDINALITY AS e(event, place)
), told AS (
  SELECT count(pg_notify($2::text, id::text)) FROM moved
)
SELECT id AS log_id FROM locked, told`

export const selectLog = (db: Queryable, logId: string): Promise<LogState | undefined> =>
  queryFirst<LogState>(db, 'SELECT last_seq, removed_seq, closed_at FROM event_logs WHERE id = $1::uuid', [logId])

export async function selectEvents(db: Queryable, logId: string, afterSeq: number, limit: number): Promise<LogEvent[]> {
  const { rows } = await db.query<Omit<LogEvent, 'seq'> & { seq: bigint }>(
    `SELECT seq, type, data, created_at FROM log_events
     WHERE log_id = $1::uuid AND seq > $2::bigint ORDER BY seq LIMIT $3::integer`,
    [logId, afterSeq, limit],
  )
  return rows.map(row => ({ ...row, seq: Number(row.seq) }))
}

/**
 * Removes the events of logs that were closed before so many days, but for their last `kept` ones.
 * Tells of how many logs.
 */
export async function deleteOldEvents(
  db: Queryable,
  retention: { days: number; kept: number },
  limit: number,
): Promise<number> {
  const { rowCount } = await db.query(
    `WITH old AS (
       SELECT id, last_seq - $2::integer AS upto FROM event_logs
       WHERE closed_at < now() - $1::integer * interval '1 day' AND removed_seq < last_seq - $2::integer
       ORDER BY closed_at LIMIT $3::integer FOR UPDATE SKIP LOCKED
     ), removed AS (
       DELETE FROM log_events e USING old WHERE e.log_id = old.id AND e.seq <= old.upto
     )
     UPDATE event_logs l SET removed_seq = old.upto, stored_bytes = coalesce((
         SELECT sum(octet_length(e.data::text)) FROM log_events e WHERE e.log_id = l.id AND e.seq > old.upto), 0)
     FROM old WHERE l.id = old.id`,
    [retention.days, retention.kept, limit],
  )
  return rowCount
}

export async function deleteLog(tx: Transaction, logId: string): Promise<void> {
  await tx.query('DELETE FROM log_events WHERE log_id = $1::uuid', [logId])
  await tx.query('DELETE FROM event_logs WHERE id = $1::uuid', [logId])
}
