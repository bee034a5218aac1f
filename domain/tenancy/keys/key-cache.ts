import type { Listener } from '../../../infra/postgres/listener.ts'
import { createNotifiedCache, type NotifiedCache } from '../../../infra/postgres/notified-cache.ts'
import { KEY_CHANGES, type AuthenticatedKeyRow } from './keys.sql.ts'

/** Keys by their secret. */
export type KeyCache = NotifiedCache<AuthenticatedKeyRow | undefined>

export const createKeyCache = (listener: Listener): KeyCache => createNotifiedCache(listener, KEY_CHANGES)
