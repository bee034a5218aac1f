import { queryFirst, type Queryable } from '../../../infra/postgres/database.ts'
import type { Owner } from '../../core/caller.rules.ts'
import type { Usage } from '../tokens/usage.schema.ts'

export interface CachedReply {
  choices: Record<string, unknown>[]
  usage: Usage
  sandbox: boolean
}

/** The reply to the same request of the same project, where it is still fresh. */
export async function selectReply(
  db: Queryable,
  owner: Owner,
  requestSha256: Buffer,
): Promise<CachedReply | undefined> {
  const row = await queryFirst<{ reply: CachedReply }>(
    db,
    `SELECT reply FROM reply_cache
     WHERE user_id = $1::text AND project_id = $2::text AND request_sha256 = $3::bytea AND expires_at > now()`,
    [owner.userId, owner.projectId ?? '', requestSha256],
  )
  return row?.reply
}

/** What an account may have in the cache, and for how long each. */
export interface CacheBounds {
  lifeSeconds: number
  mostReplies: number
  mostBytes: number
}

/**
 * Keeps a reply, a CachedReply as JSON; a newer one takes the place of an older. Those that were kept first make room for it. Calls of the same
 * instant do not see each other: the account is within its bounds again with the next one.
 */
export async function upsertReply(
  db: Queryable,
  owner: Owner,
  requestSha256: Buffer,
  replyJson: string,
  bounds: CacheBounds,
): Promise<void> {
  await db.query(UPSERT, [
    owner.userId,
    owner.projectId ?? '',
    requestSha256,
    replyJson,
    bounds.lifeSeconds,
    bounds.mostReplies - 1,
    Math.max(0, bounds.mostBytes - Buffer.byteLength(replyJson)),
  ])
}

const UPSERT = `
WITH kept AS (
  INSERT INTO reply_cache (user_id, project_id, request_sha256, reply, expires_at)
  VALUES ($1::text, $2::text, $3::bytea, $4::jsonb, now() + $5::integer * interval '1 second')
  ON CONFLICT (user_id, project_id, request_sha256) DO UPDATE SET reply = excluded.reply, expires_at = excluded.expires_at
), others AS (
  SELECT project_id, request_sha256, row_number() OVER newest AS nth, sum(bytes) OVER newest AS total
  FROM reply_cache WHERE user_id = $1::text AND (project_id, request_sha256) <> ($2::text, $3::bytea)
  WINDOW newest AS (ORDER BY expires_at DESC, request_sha256)
)
DELETE FROM reply_cache c USING others o
WHERE c.user_id = $1::text AND c.project_id = o.project_id AND c.request_sha256 = o.request_sha256
  AND (o.nth > $6::integer OR o.total > $7::bigint)`

/** Removes at most `limit` replies that have expired; tells how many. */
export async function deleteExpiredReplies(db: Queryable, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `DELETE FROM reply_cache WHERE ctid IN (SELECT ctid FROM reply_cache WHERE expires_at <= now() LIMIT $1::integer)`,
    [limit],
  )
  return rowCount
}
