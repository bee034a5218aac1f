import type { PreparedStatement, Queryable } from '../../../infra/postgres/database.ts'
import type { CallRecord } from './call.rules.ts'
import { wireCall } from './call.sql.ts'

/** A call under way, as it would be recorded if its process were lost now. */
export interface OpenCall {
  call: CallRecord
  worstCaseNanos: bigint
}

const UPSERT: PreparedStatement = {
  name: 'tell_open_calls',
  text: `
WITH sent AS MATERIALIZED (
  SELECT * FROM json_to_recordset($2::json) AS c(
    id uuid, user_id text, project_id text, started_at timestamptz, worst_case_nanos bigint, call json)
), ended AS (
  DELETE FROM open_calls WHERE process_id = $1::text AND id = ANY($3::uuid[])
)
INSERT INTO open_calls (id, process_id, user_id, project_id, started_at, worst_case_nanos, call)
SELECT sent.id, p.id, user_id, project_id, started_at, worst_case_nanos, call
FROM sent, (SELECT id FROM api_processes WHERE id = $1::text FOR KEY SHARE) AS p
ON CONFLICT (id) DO UPDATE SET call = excluded.call, process_id = excluded.process_id`,
}

/** Writes how far calls of the process are, and forgets those that have ended. Nothing is written for a lost one. */
export async function upsertOpenCalls(
  db: Queryable,
  processId: string,
  open: readonly OpenCall[],
  endedIds: readonly string[],
): Promise<void> {
  await db.query(UPSERT, [processId, JSON.stringify(open.map(wireOpenCall)), endedIds])
}

const wireOpenCall = ({ call, worstCaseNanos }: OpenCall) => ({
  id: call.id,
  user_id: call.owner.userId,
  project_id: call.owner.projectId ?? undefined,
  started_at: call.createdAt.toISOString(),
  worst_case_nanos: worstCaseNanos.toString(),
  call: wireCall(call),
})

/** What the process had under way, each as it is to be recorded. */
export async function selectOpenCalls(
  db: Queryable,
  processId: string,
): Promise<{ id: string; user_id: string; call: object }[]> {
  const text = 'SELECT id, user_id, call FROM open_calls WHERE process_id = $1::text ORDER BY id'
  return (await db.query<{ id: string; user_id: string; call: object }>(text, [processId])).rows
}

export async function deleteOpenCalls(db: Queryable, processId: string): Promise<void> {
  await db.query('DELETE FROM open_calls WHERE process_id = $1::text', [processId])
}
