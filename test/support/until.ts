import { setTimeout as delay } from 'node:timers/promises'

const LOOK_EVERY_MS = 25
/** For a hang alone: ten times what anything here takes on a loaded machine. */
const HANGS_AFTER_MS = 60_000

/** Looks until there is something to see; gives it. Errors: after `withinMs`. */
export async function until<T>(look: () => Promise<T | undefined | false>, withinMs = HANGS_AFTER_MS): Promise<T> {
  const giveUpAtMs = Date.now() + withinMs
  for (;;) {
    const seen = await look()
    if (seen !== undefined && seen !== false) return seen
    if (Date.now() > giveUpAtMs) throw new Error(`not so within ${withinMs} ms: ${look.toString()}`)
    await delay(LOOK_EVERY_MS)
  }
}
