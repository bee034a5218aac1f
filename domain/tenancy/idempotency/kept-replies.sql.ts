import { queryFirst, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { Owner } from '../../core/caller.rules.ts'

export interface ReplyClaim {
  owner: Owner
  operation: string
  key: string
  requestId: string
  processId: string
}

/** A reply as it is given again. */
export interface KeptReply {
  status: number
  headers: Record<string, string>
  /** Of server-sent events: their JSON array is the body. */
  streamed: boolean
  /** JSON, of a large one in UTF-8; null where it was too large. */
  body: string | Uint8Array | null
}

export async function insertKeptReply(tx: Transaction, claim: ReplyClaim, keepSeconds: number): Promise<void> {
  await tx.query(
    `INSERT INTO kept_replies (request_id, user_id, project_id, operation, key, process_id, expires_at)
     VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::text, now() + make_interval(secs => $7::integer))`,
    [claim.requestId, ...keyOf(claim), claim.processId, keepSeconds],
  )
}

export interface KeptReplyRow extends Omit<KeptReply, 'status' | 'body'> {
  status: number | null
  body: string | null
  /** Whether its process is still up. */
  is_alive: boolean
}

export async function selectKeptReply(db: Queryable, requestId: string): Promise<KeptReplyRow | undefined> {
  const text = `SELECT status, headers, streamed, body, p.id IS NOT NULL AS is_alive
    FROM kept_replies LEFT JOIN api_processes p ON p.id = process_id WHERE request_id = $1::uuid`
  return queryFirst<KeptReplyRow>(db, text, [requestId])
}

export async function setKeptReply(db: Queryable, requestId: string, reply: KeptReply): Promise<void> {
  await db.query(
    `UPDATE kept_replies SET status = $2::smallint, headers = $3::json, streamed = $4::boolean, body = $5::text
     WHERE request_id = $1::uuid`,
    [requestId, reply.status, JSON.stringify(reply.headers), reply.streamed, reply.body],
  )
}

/** Forgets the claim, where it is still that request's. */
export async function deleteClaim(db: Queryable, claim: ReplyClaim): Promise<void> {
  await db.query(
    `DELETE FROM idempotency_keys
     WHERE user_id = $1::text AND project_id = $2::text AND operation = $3::text AND key = $4::text
       AND resource_id = $5::text`,
    [...keyOf(claim), claim.requestId],
  )
}

/** How many there were; at most `limit`. */
export async function deleteExpiredReplies(db: Queryable, limit: number): Promise<number> {
  const text = `DELETE FROM idempotency_keys k USING (
      SELECT user_id, project_id, operation, key FROM kept_replies WHERE expires_at < now()
      ORDER BY expires_at LIMIT $1::integer) AS e
    WHERE k.user_id = e.user_id AND k.project_id = e.project_id AND k.operation = e.operation AND k.key = e.key`
  return (await db.query(text, [limit])).rowCount
}

const keyOf = ({ owner, operation, key }: ReplyClaim) => [owner.userId, owner.projectId ?? '', operation, key]
