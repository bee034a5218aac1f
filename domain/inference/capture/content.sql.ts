import { queryFirst, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { ownerValues, VISIBLE_TO_OWNER } from '../../core/visibility.ts'
import type { KeptContent } from '../redaction/capture.rules.ts'

export interface CallWithContent {
  id: string
  owner: Owner
  createdAt: Date
  content?: KeptContent | undefined
}

export async function insertContents(tx: Transaction, calls: readonly CallWithContent[]): Promise<void> {
  // json, not jsonb: it keeps any text that a request can hold.
  await tx.query(
    `INSERT INTO request_contents (request_id, user_id, project_id, request, reply, redacted, truncated, created_at, expires_at)
     SELECT request_id, user_id, project_id, request, reply, redacted, truncated, created_at, expires_at
     FROM json_to_recordset($1::json) AS c(request_id uuid, user_id text, project_id text, request json, reply text,
       redacted boolean, truncated boolean, created_at timestamptz, expires_at timestamptz)
     ON CONFLICT (request_id) DO NOTHING`,
    [JSON.stringify(calls.map(wireContent))],
  )
}

const wireContent = ({ id, owner, createdAt, content }: CallWithContent) => ({
  request_id: id,
  user_id: owner.userId,
  project_id: owner.projectId,
  request: content?.request,
  reply: content?.reply,
  redacted: content?.redacted,
  truncated: content?.truncated,
  created_at: createdAt.toISOString(),
  expires_at: content?.expiresAt.toISOString(),
})

export interface ContentRow {
  request: object
  redacted: boolean
  truncated: boolean
}

/** What is kept of a request; nothing once it has expired, deleted yet or not. */
export const selectContent = (db: Queryable, owner: Owner, requestId: string): Promise<ContentRow | undefined> =>
  queryFirst<ContentRow>(
    db,
    `SELECT request, redacted, truncated FROM request_contents
     WHERE ${VISIBLE_TO_OWNER} AND request_id = $3::uuid AND expires_at > now()`,
    [...ownerValues(owner), requestId],
  )

/** Deletes what has expired, by its own time or by a policy that was shortened since. Gives how many. */
export async function deleteExpiredContents(db: Queryable, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `DELETE FROM request_contents WHERE request_id IN (
       (SELECT request_id FROM request_contents WHERE expires_at <= now() LIMIT $1::integer)
       UNION
       (SELECT c.request_id FROM inference_policies p JOIN request_contents c ON c.project_id = p.project_id
        WHERE c.created_at <= now() - p.retention_days * interval '1 day' LIMIT $1::integer))`,
    [limit],
  )
  return rowCount ?? 0
}
