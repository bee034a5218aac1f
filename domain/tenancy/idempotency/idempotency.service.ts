import { queryFirst, type Transaction } from '../../../infra/postgres/database.ts'
import { badRequest, conflict } from '../../core/errors.ts'
import type { Owner } from '../../core/caller.rules.ts'

const KEY_FORM = /^[\x21-\x7e]{1,255}$/

/** The Idempotency-Key header of a request, and the digest of its body's bytes: two are the same where both are. */
export interface RequestKey {
  key: string
  sha256: Buffer
}

export interface IdempotentRequest {
  owner: Owner
  /** Such as `batches.create`. */
  operation: string
  /** Where the caller sent one. */
  requestKey: RequestKey | undefined
}

/**
 * Ties the key to the resource that this transaction makes. Gives the id of the resource it is already tied to, where
 * there is one: nothing must be made then. Two requests at once: the second waits for the first.
 * Errors: 400 for a key of another form; 409 where the key came with another request.
 */
export async function claimIdempotencyKey(
  tx: Transaction,
  claim: IdempotentRequest,
  resourceId: string,
): Promise<string | undefined> {
  if (claim.requestKey === undefined) return undefined
  const { key, sha256 } = claim.requestKey
  if (!KEY_FORM.test(key)) throw badRequest('An Idempotency-Key has 1 to 255 printable characters.', 'Idempotency-Key')
  const scope = [claim.owner.userId, claim.owner.projectId ?? '', claim.operation, key]
  const { rowCount } = await tx.query(
    `INSERT INTO idempotency_keys (user_id, project_id, operation, key, request_sha256, resource_id)
     VALUES ($1::text, $2::text, $3::text, $4::text, $5::bytea, $6::text) ON CONFLICT DO NOTHING`,
    [...scope, sha256, resourceId],
  )
  if (rowCount === 1) return undefined
  const earlier = await queryFirst<{ request_sha256: Buffer; resource_id: string }>(
    tx,
    `SELECT request_sha256, resource_id FROM idempotency_keys
     WHERE user_id = $1::text AND project_id = $2::text AND operation = $3::text AND key = $4::text`,
    scope,
  )
  if (earlier?.request_sha256.equals(sha256) === true) return earlier.resource_id
  throw conflict('This Idempotency-Key was used with another request.', 'Idempotency-Key')
}
