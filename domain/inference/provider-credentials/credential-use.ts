import type { Log } from '../../../infra/log.ts'
import type { UpstreamFailure } from '../../../infra/upstreams/upstream.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { lastErrorOf } from './credential.rules.ts'
import { setFailed, setUsed } from './credential.sql.ts'

const WRITE_EVERY_MS = 60_000
const ENTRY_LIMIT = 10_000

/** Keeps what calls over users' own keys tell of them. No call waits for it, and none fails by it. */
export interface CredentialUse {
  /** A call over the key has succeeded. Written at most once a minute. */
  succeeded(owner: Owner, credentialId: string): void
  /** A call over the key has failed. Only a refusal of the key says something of it. */
  failed(owner: Owner, credentialId: string, failure: UpstreamFailure): void
}

export function createCredentialUse({ db, log }: { db: Database; log: Log }): CredentialUse {
  const writtenAtMs = new Map<string, number>()
  const write = (credentialId: string, writing: Promise<void>) => {
    writing.catch((error: unknown) => {
      writtenAtMs.delete(credentialId)
      log.warn({ credentialId, err: error }, "a credential's use could not be written")
    })
  }
  return {
    succeeded: (owner, credentialId) => {
      if (Date.now() - (writtenAtMs.get(credentialId) ?? 0) < WRITE_EVERY_MS) return
      if (writtenAtMs.size >= ENTRY_LIMIT) writtenAtMs.clear()
      writtenAtMs.set(credentialId, Date.now())
      write(credentialId, setUsed(db, owner, credentialId))
    },
    failed: (owner, credentialId, failure) => {
      if (failure.kind !== 'refused') return
      writtenAtMs.delete(credentialId)
      write(credentialId, setFailed(db, owner, credentialId, lastErrorOf(failure)))
    },
  }
}
