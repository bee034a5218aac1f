import type { Transaction } from '../../../infra/postgres/database.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { claimIdempotencyKey, type RequestKey } from './idempotency.service.ts'

/** What tells whether a request came before. */
export interface Repeatable {
  /** Such as `POST /batches`. */
  operation: string
  /** Without one, every request is new; with another body, the same key is a conflict. */
  requestKey: RequestKey | undefined
}

/** `make`s the resource of that id, or looks `again` at the one that an earlier request with the key has made. */
interface Creation<Resource> {
  id: string
  make: () => Promise<Resource>
  again: (id: string) => Promise<Resource>
}

/**
 * Makes a resource once per Idempotency-Key, in the transaction that makes it; of two requests at once the second waits.
 * Errors: 400 for a key of another form; 409 where the key came with another request.
 */
export async function createOnce<Resource>(
  tx: Transaction,
  owner: Owner,
  repeatable: Repeatable,
  { id, make, again }: Creation<Resource>,
): Promise<Resource> {
  const earlier = await claimIdempotencyKey(tx, { owner, ...repeatable }, id)
  return earlier === undefined ? make() : again(earlier)
}
