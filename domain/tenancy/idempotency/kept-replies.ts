import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { conflict, DomainError } from '../../core/errors.ts'
import { claimIdempotencyKey } from './idempotency.service.ts'
import {
  deleteClaim,
  deleteExpiredReplies,
  insertKeptReply,
  selectKeptReply,
  setKeptReply,
  type KeptReply,
  type KeptReplyRow,
  type ReplyClaim,
} from './kept-replies.sql.ts'

export type { KeptReply, ReplyClaim } from './kept-replies.sql.ts'

const KEPT_SECONDS = 24 * 3600
const SWEEP_LIMIT = 200
const HEADER = 'Idempotency-Key'

/** Longer replies are not kept. In characters of JSON. */
export const LONGEST_KEPT = 4 * 1024 * 1024

/**
 * Ties a key to a call that is about to be made. Gives the reply of the call it is tied to already, where there is one:
 * nothing must be done then. `sha256` is of the body, byte for byte.
 * Errors: 400; 409 where the key came with another body, where its call is under way, where that call's process was
 * lost (what it delivered is charged, so it is not made again), and where its reply was too large to be kept.
 */
export async function claimReply(
  db: Database,
  claim: ReplyClaim,
  sha256: Buffer,
): Promise<(KeptReply & { body: string }) | undefined> {
  const row = await inTransaction(db, async tx => {
    const earlier = await claimIdempotencyKey(tx, { ...claim, requestKey: { key: claim.key, sha256 } }, claim.requestId)
    if (earlier !== undefined) return selectKeptReply(tx, earlier)
    await insertKeptReply(tx, claim, KEPT_SECONDS)
    return null
  })
  return row === null ? undefined : replyOf(row)
}

function replyOf(row: KeptReplyRow | undefined): KeptReply & { body: string } {
  // It was freed just now: as good as under way.
  if (row === undefined) throw underWay()
  const { status, body } = row
  if (status === null) throw row.is_alive ? underWay() : lost()
  if (body === null) throw conflict('The reply to this Idempotency-Key was too large to be kept.', HEADER)
  return { ...row, status, body }
}

/** Keeps the reply for a day. */
export const keepReply = (db: Database, { requestId }: ReplyClaim, reply: KeptReply): Promise<void> =>
  setKeptReply(db, requestId, reply)

/** Of a call that was not charged: the next one with the key is made. */
export const freeReply = (db: Database, claim: ReplyClaim): Promise<void> => deleteClaim(db, claim)

/** Removes replies that have expired, with their keys; true where there may be more. */
export const sweepKeptReplies = async ({ db }: { db: Database }): Promise<boolean> =>
  (await deleteExpiredReplies(db, SWEEP_LIMIT)) === SWEEP_LIMIT

const underWay = (): DomainError =>
  new DomainError(409, 'bad_request', 'The call of this Idempotency-Key is under way. Ask again for its reply.', {
    type: 'conflict',
    param: HEADER,
    retryAfterSeconds: 1,
    retryable: true,
  })

const lost = (): DomainError =>
  new DomainError(
    409,
    'bad_request',
    'The call of this Idempotency-Key was lost with its server, and what it delivered was charged. Use another key to call again.',
    { type: 'process_lost', param: HEADER },
  )
