import { queryFirst, type Queryable } from '../../infra/postgres/database.ts'
import type { Owner } from '../tenancy/tenancy.rules.ts'
import type { Usage } from './chat.schema.ts'

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

/** Keeps a reply; a newer one takes the place of an older. */
export async function upsertReply(
  db: Queryable,
  owner: Owner,
  requestSha256: Buffer,
  reply: CachedReply,
  lifeSeconds: number,
): Promise<void> {
  await db.query(
    `INSERT INTO reply_cache (user_id, project_id, request_sha256, reply, expires_at)
     VALUES ($1::text, $2::text, $3::bytea, $4::jsonb, now() + $5::integer * interval '1 second')
     ON CONFLICT (user_id, project_id, request_sha256) DO UPDATE SET
       reply = excluded.reply, expires_at = excluded.expires_at`,
    [owner.userId, owner.projectId ?? '', requestSha256, JSON.stringify(reply), lifeSeconds],
  )
}

/** Removes at most `limit` replies that have expired; tells how many. */
export async function deleteExpiredReplies(db: Queryable, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `DELETE FROM reply_cache WHERE ctid IN (SELECT ctid FROM reply_cache WHERE expires_at <= now() LIMIT $1::integer)`,
    [limit],
  )
  return rowCount
}
