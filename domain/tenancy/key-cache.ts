import type { Listener } from '../../infra/postgres/listener.ts'
import { KEY_CHANGES, type AuthenticatedKeyRow } from './keys.sql.ts'

const FRESH_MS = 30_000
const ENTRY_LIMIT = 50_000

interface Entry {
  key: AuthenticatedKeyRow | undefined
  readAtMs: number
}

export interface KeyCache {
  get(secret: string, read: () => Promise<AuthenticatedKeyRow | undefined>): Promise<AuthenticatedKeyRow | undefined>
}

/**
 * Keys by their secret, for 30 s or until any key changes (NOTIFY) or notifications may have been missed.
 * Unknown secrets are not kept: a key works at once when it is made, and guesses do not fill the memory.
 */
export function createKeyCache(listener: Listener): KeyCache {
  const entries = new Map<string, Entry>()
  let generation = 0
  const flush = () => {
    generation += 1
    entries.clear()
  }
  listener.on(KEY_CHANGES, flush)
  listener.onGap(flush)

  const read = async (secret: string, readKey: () => Promise<AuthenticatedKeyRow | undefined>) => {
    const generationBefore = generation
    const key = await readKey()
    // A change that arrived during the read may not be in what was read.
    if (key === undefined || generation !== generationBefore) return key
    if (entries.size >= ENTRY_LIMIT) entries.clear()
    entries.set(secret, { key, readAtMs: Date.now() })
    return key
  }

  return {
    get: async (secret, readKey) => {
      const entry = entries.get(secret)
      if (entry !== undefined && Date.now() - entry.readAtMs < FRESH_MS) return entry.key
      return read(secret, readKey)
    },
  }
}
