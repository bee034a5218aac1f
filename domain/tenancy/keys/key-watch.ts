import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { Listener } from '../../../infra/postgres/listener.ts'
import { unauthorized, type DomainError } from '../../core/errors.ts'
import { createLoop } from '../../../infra/loop.ts'
import { KEY_CHANGES, selectKeyStates } from './keys.sql.ts'
import { keyRefusal } from './key.rules.ts'

/** Notifications may be lost: nothing outlives its key for longer than this and the look itself. */
const LOOK_EVERY_MS = 10_000

/** Ends what is under way by a key when the key ends: it is revoked, it expires, or its user is disabled. */
export interface KeyWatch {
  /** `end` is called at most once, with what the client is told; gives what ends the watch. */
  watch(keyId: string, end: (reason: DomainError) => void): () => void
  stop(): Promise<void>
}

export function createKeyWatch(deps: { db: Database; listener: Listener; log: Log }): KeyWatch {
  const watched = new Map<string, Set<(reason: DomainError) => void>>()
  const look = async () => {
    const keyIds = [...watched.keys()]
    if (keyIds.length === 0) return false
    for (const key of await selectKeyStates(deps.db, keyIds)) {
      const refusal = keyRefusal(key, Date.now())
      if (refusal !== undefined) watched.get(key.id)?.forEach(end => end(unauthorized(refusal)))
    }
    return false
  }
  const loop = createLoop({ name: 'keys of open streams', everyMs: LOOK_EVERY_MS, log: deps.log, turn: look })
  deps.listener.on(KEY_CHANGES, keyId => {
    if (watched.size > 0 && (keyId === '' || watched.has(keyId))) loop.wake()
  })
  deps.listener.onGap(() => loop.wake())

  return {
    watch: (keyId, end) => {
      const ends = watched.get(keyId) ?? new Set()
      watched.set(keyId, ends)
      // Of its own, so that the same function may be entered twice.
      const once = (reason: DomainError) => {
        unwatch()
        end(reason)
      }
      const unwatch = () => {
        ends.delete(once)
        if (ends.size === 0 && watched.get(keyId) === ends) watched.delete(keyId)
      }
      ends.add(once)
      return unwatch
    },
    stop: () => loop.stop(),
  }
}
