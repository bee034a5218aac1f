import { UpstreamFailure, type UpstreamSettings } from '../../../infra/upstreams/upstream.ts'

const DEFAULT_BUDGET_MS = 30_000

interface Waiter {
  priority: number
  admit(): void
}

export interface SlotRequest {
  /** Higher goes first; within one, first come, first served. */
  priority: number
  /** The longest wait. */
  budgetMs: number | undefined
  signal: AbortSignal
}

/** Places at upstreams that take only so many calls at once (`max_concurrency` of a catalog file), by priority. */
export interface Capacity {
  /** Resolves with the slot's release; the signal's abort releases it too. Errors: UpstreamFailure `rate_limited` where none came free in time, `aborted`. */
  acquire(upstream: UpstreamSettings, request: SlotRequest): (() => void) | Promise<() => void>
}

export function createCapacity(): Capacity {
  const queues = new Map<string, { underWay: number; waiting: Waiter[] }>()
  const queueOf = (id: string) => {
    const known = queues.get(id) ?? { underWay: 0, waiting: [] }
    queues.set(id, known)
    return known
  }
  const takeSlot = async (id: string, slots: number, request: SlotRequest): Promise<() => void> => {
    const queue = queueOf(id)
    if (queue.underWay >= slots) await waitForSlot(queue.waiting, request)
    else queue.underWay += 1
    const releaseSlot = once(() => {
      request.signal.removeEventListener('abort', releaseSlot)
      const next = queue.waiting.shift()
      // A slot that goes to the next in line stays taken.
      if (next === undefined) queue.underWay -= 1
      else next.admit()
    })
    request.signal.addEventListener('abort', releaseSlot)
    return releaseSlot
  }
  return {
    acquire: ({ id, maxConcurrency }, request) =>
      maxConcurrency === undefined ? nothing : takeSlot(id, maxConcurrency, request),
  }
}

const nothing = (): void => undefined

function waitForSlot(waiting: Waiter[], { priority, budgetMs, signal }: SlotRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    const releaseSlot = (failure: UpstreamFailure) => {
      const index = waiting.indexOf(waiter)
      if (index >= 0) waiting.splice(index, 1)
      done()
      reject(failure)
    }
    const onAbort = () => releaseSlot(new UpstreamFailure('aborted', 'the call was aborted while it waited'))
    const late = setTimeout(
      () => releaseSlot(new UpstreamFailure('rate_limited', 'no slot came free in time', { retryAfterSeconds: 1 })),
      budgetMs ?? DEFAULT_BUDGET_MS,
    )
    const done = () => {
      clearTimeout(late)
      signal.removeEventListener('abort', onAbort)
    }
    const waiter: Waiter = {
      priority,
      admit: () => {
        done()
        resolve()
      },
    }
    if (signal.aborted) return onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    const behind = waiting.findIndex(other => other.priority < priority)
    waiting.splice(behind === -1 ? waiting.length : behind, 0, waiter)
  })
}

function once(action: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    action()
  }
}
