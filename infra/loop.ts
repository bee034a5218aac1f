import type { Log } from './log.ts'

export interface Loop {
  /** Runs a turn now, or again when the one under way is done. */
  wake(): void
  /** Resolves when no turn is under way; none begins after. */
  stop(): Promise<void>
}

interface LoopOptions {
  name: string
  everyMs: number
  log: Log
  /** True where there is more to do at once. */
  turn: () => Promise<boolean>
}

/** Runs `turn` every so often and whenever woken, never two at a time. A turn that fails is logged and comes again. */
export function createLoop({ name, everyMs, log, turn }: LoopOptions): Loop {
  let running: Promise<void> | undefined
  let again = false
  let stopped = false
  let timer: NodeJS.Timeout | undefined

  const runTurns = async () => {
    do {
      again = false
      try {
        again = (await turn()) || again
      } catch (error) {
        log.error({ loop: name, err: error }, 'a turn failed')
      }
    } while (again && !stopped)
  }

  const wake = () => {
    if (stopped) return
    again = true
    if (running !== undefined) return
    clearTimeout(timer)
    running = runTurns().finally(() => {
      running = undefined
      if (again) wake()
      else if (!stopped) timer = setTimeout(wake, everyMs)
    })
  }

  wake()
  return {
    wake,
    stop: async () => {
      stopped = true
      clearTimeout(timer)
      await running
    },
  }
}
