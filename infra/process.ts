import type { Log } from './log.ts'

/** A terminal's Ctrl-C reaches a process twice under npm: from the terminal and passed on by npm. */
const SAME_SIGNAL_MS = 500

/** Tells the supervisor, where there is one, that the process does its work, and where. */
export function announceReady(facts: Record<string, unknown>): void {
  process.send?.({ type: 'ready', ...facts })
}

export interface StopOptions {
  log: Pick<Log, 'info' | 'error'>
  stop: () => Promise<void>
  /** After this the process ends whatever is still under way. */
  graceMs: number
}

/**
 * Ends the process in order at SIGTERM, SIGINT, or when its supervisor is gone; at once at a second signal.
 * Exit codes: 0 in order, 1 otherwise.
 */
export function stopOnSignal({ log, stop, graceMs }: StopOptions): void {
  let stoppingSinceMs: number | undefined
  const end = (why: string) => {
    if (stoppingSinceMs !== undefined) {
      if (Date.now() - stoppingSinceMs > SAME_SIGNAL_MS) process.exit(1)
      return
    }
    stoppingSinceMs = Date.now()
    log.info({ why }, 'stopping')
    setTimeout(() => process.exit(1), graceMs).unref()
    stop().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'stopping failed')
        process.exit(1)
      },
    )
  }
  process.on('SIGTERM', () => end('SIGTERM'))
  process.on('SIGINT', () => end('SIGINT'))
  process.on('disconnect', () => end('the supervisor is gone'))
}
