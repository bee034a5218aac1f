import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { Log } from './log.ts'

/** A terminal's Ctrl-C reaches a process twice under npm: from the terminal and passed on by npm. */
const SAME_SIGNAL_MS = 500

/** Tells the supervisor, where there is one, that the process does its work, and where. */
export function announceReady(facts: Record<string, unknown>): void {
  // That it is gone is told by `disconnect`, not by this message's failure.
  if (process.connected) process.send?.({ type: 'ready', ...facts }, undefined, undefined, () => undefined)
}

export interface StopOptions {
  log: Pick<Log, 'info' | 'error'>
  stop: () => Promise<void>
  /** After this the process ends whatever is still under way. */
  graceMs: number
}

/**
 * Ends the process in order at SIGTERM, SIGINT, SIGHUP, or when its supervisor is gone; at once at a second signal.
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
  // The terminal was closed.
  process.on('SIGHUP', () => end('SIGHUP'))
  process.on('disconnect', () => end('the supervisor is gone'))
  // It had a supervisor, which went before this was called.
  if (process.connected === false) end('the supervisor is gone')
}

/**
 * Keeps the garbage of a server that has started at no more than half of what lives. V8 would let it grow to several
 * times that, and at first to half of all it may use. Costs a collection now, and no throughput that could be measured
 * (docs/performance.md).
 */
export function boundHeap(): void {
  setFlagsFromString('--heap-growing-percent=50')
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
}
