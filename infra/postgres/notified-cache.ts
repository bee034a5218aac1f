import type { Listener } from './listener.ts'

const FRESH_MS = 30_000
const ENTRY_LIMIT = 50_000

export interface NotifiedCache<Value> {
  /** What is kept, at once; else what is read. Errors: the reading's. */
  get(key: string, read: () => Promise<Value>): Value | Promise<Value>
}

/**
 * Keeps what was read for 30 s, or until anything on the channel changes (NOTIFY) or notifications may have been
 * missed. What is undefined is not kept: it works at once when it is made, and guesses do not fill the memory.
 */
export function createNotifiedCache<Value>(listener: Listener, channel: string): NotifiedCache<Value> {
  const entries = new Map<string, { value: Value; readAtMs: number }>()
  let generation = 0
  const flush = () => {
    generation += 1
    entries.clear()
  }
  listener.on(channel, flush)
  listener.onGap(flush)

  const readAnew = async (key: string, read: () => Promise<Value>) => {
    const generationBefore = generation
    const value = await read()
    // A change that arrived during the read may not be in what was read.
    if (value === undefined || generation !== generationBefore) return value
    if (entries.size >= ENTRY_LIMIT) entries.clear()
    entries.set(key, { value, readAtMs: Date.now() })
    return value
  }

  return {
    get: (key, read) => {
      const entry = entries.get(key)
      if (entry !== undefined && Date.now() - entry.readAtMs < FRESH_MS) return entry.value
      return readAnew(key, read)
    },
  }
}
