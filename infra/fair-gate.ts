interface Waiter {
  admit(): void
}

/** A place that is taken until it is given back. */
export type Leave = () => void

/**
 * A bounded number of places, given to tenants in turn: who asks for thousands waits behind who asks for one.
 * Within a tenant, first come, first served.
 */
export interface FairGate {
  /** Resolves with a place. Rejects where the signal aborts first. */
  enter(tenant: string, signal: AbortSignal): Promise<Leave>
}

/** A place that can be given back for as long as its holder waits for something else. */
export interface Place {
  leave(): void
  /** Waits without the place, then takes one again. Errors: the wait's; the place is given back then. */
  whileAway(wait: () => Promise<void>): Promise<void>
}

export async function takePlace(gate: FairGate, tenant: string, signal: AbortSignal): Promise<Place> {
  let leave = await gate.enter(tenant, signal)
  return {
    leave: () => leave(),
    whileAway: async wait => {
      leave()
      await wait()
      leave = await gate.enter(tenant, signal)
    },
  }
}

export function createFairGate(places: number): FairGate {
  /** In the order of their next turn: a tenant that was served goes to the end. */
  const queues = new Map<string, Waiter[]>()
  let free = places

  const leaveOnce = (): Leave => {
    let left = false
    return () => {
      if (left) return
      left = true
      free += 1
      serve()
    }
  }

  const serve = () => {
    while (free > 0) {
      const next = nextWaiter()
      if (next === undefined) return
      free -= 1
      next.admit()
    }
  }

  const nextWaiter = (): Waiter | undefined => {
    for (const [tenant, queue] of queues) {
      queues.delete(tenant)
      const waiter = queue.shift()
      if (queue.length > 0) queues.set(tenant, queue)
      if (waiter !== undefined) return waiter
    }
    return undefined
  }

  const forget = (tenant: string, waiter: Waiter) => {
    const queue = queues.get(tenant)?.filter(other => other !== waiter) ?? []
    if (queue.length > 0) queues.set(tenant, queue)
    else queues.delete(tenant)
  }

  return {
    enter: (tenant, signal) =>
      new Promise<Leave>((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason as Error)
        const onAbort = () => {
          forget(tenant, waiter)
          reject(signal.reason as Error)
        }
        const waiter: Waiter = {
          admit: () => {
            signal.removeEventListener('abort', onAbort)
            resolve(leaveOnce())
          },
        }
        signal.addEventListener('abort', onAbort, { once: true })
        queues.set(tenant, [...(queues.get(tenant) ?? []), waiter])
        serve()
      }),
  }
}
