import { setMaxListeners } from 'node:events'
import { availableParallelism } from 'node:os'
import { Piscina } from 'piscina'
import { linkedAbort } from '../abort.ts'
import { createFairGate } from '../fair-gate.ts'

const MOST_THREADS = 4
/** Of all tenants together; more would be held in memory, for longer than their clients wait. */
export const MOST_WAITING = 256
const LONGEST_TASK_MS = 20_000
const IDLE_MS = 60_000
const HEAP_MB = 1_024

/** Why a task was not done: nothing is wrong with what it was given, as far as is known. */
export class ThreadsBusy extends Error {
  override name = 'ThreadsBusy'
}

/** Work that would hold the event loop, done beside it. */
export interface Threads {
  /**
   * Runs a task of the entry's file, in its tenant's turn. What it is given is copied, but for buffers in `moved`.
   * Errors: the task's own; the signal's reason; ThreadsBusy where too many wait, or where it takes so long that it
   * was ended with its thread.
   */
  run(task: {
    name: string
    tenant: string
    input: unknown
    signal?: AbortSignal
    moved?: ArrayBuffer[]
  }): Promise<unknown>
  stop(): Promise<void>
}

const NEVER = new AbortController().signal
setMaxListeners(0, NEVER)

/** Threads start with the first task and end when idle. @param entry the file whose exports are the tasks */
export function createThreads(
  entry: string,
  { longestTaskMs = LONGEST_TASK_MS, heapMb = HEAP_MB }: { longestTaskMs?: number; heapMb?: number } = {},
): Threads {
  const count = Math.min(MOST_THREADS, Math.max(2, availableParallelism() - 1))
  const gate = createFairGate(count)
  let waiting = 0
  const pool = new Piscina({
    filename: entry,
    minThreads: 0,
    maxThreads: count,
    idleTimeout: IDLE_MS,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
    recordTiming: false,
  })

  const acquire = async (tenant: string, signal: AbortSignal) => {
    if (waiting >= MOST_WAITING) throw new ThreadsBusy('too many tasks wait for a thread')
    waiting += 1
    try {
      return await gate.acquire(tenant, signal)
    } finally {
      waiting -= 1
    }
  }

  return {
    run: async ({ name, tenant, input, signal = NEVER, moved = [] }) => {
      const release = await acquire(tenant, signal)
      const limit = linkedAbort(signal, longestTaskMs)
      try {
        return (await pool.run(input, { name, signal: limit.signal, transferList: moved })) as unknown
      } catch (error) {
        if (signal.aborted) throw signal.reason
        throw limit.isLate || isLost(error) ? new ThreadsBusy('a task was ended', { cause: error }) : error
      } finally {
        limit.release()
        release()
      }
    },
    stop: () => pool.destroy(),
  }
}

/** Its thread ended: out of memory. */
const isLost = (error: unknown): boolean =>
  (error as { code?: unknown } | undefined)?.code === 'ERR_WORKER_OUT_OF_MEMORY'
