import { setTimeout as delay } from 'node:timers/promises'

type Seen<T> = T | undefined | false

const LOOK_EVERY_MS = 25
/** For a hang alone: ten times what anything that a test waits for takes on a loaded machine. */
export const HANGS_AFTER_MS = 120_000

/**
 * Looks until there is something to see; gives it. Errors: after `withinMs`, which is told only where what would come
 * later by another way must not be taken for it.
 */
export async function until<T>(look: () => Seen<T> | Promise<Seen<T>>, withinMs = HANGS_AFTER_MS): Promise<T> {
  const giveUpAtMs = Date.now() + withinMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (Date.now() > giveUpAtMs) throw new Error(`not so within ${withinMs} ms: ${look.toString()}`)
    await delay(LOOK_EVERY_MS)
  }
}
