interface Waiter {
  admit(): void
}

/** A slot that is taken until it is given back. */
export type Release = () => void

/**
 * A bounded number of slots, given to tenants in turn: who asks for thousands waits behind who asks for one.
 * Within a tenant, first come, first served.
 */
export interface FairGate {
  /** Resolves with a slot. Rejects where the signal aborts first. */
  acquire(tenant: string, signal: AbortSignal): Promise<Release>
}

/** A slot that can be given back for as long as its holder waits for something else. */
export interface Slot {
  release(): void
  /** Waits without the slot, then takes one again. Errors: the wait's; the slot is given back then. */
  withoutSlot(wait: () => Promise<void>): Promise<void>
}

export async function takeSlot(gate: FairGate, tenant: string, signal: AbortSignal): Promise<Slot> {
  let release = await gate.acquire(tenant, signal)
  return {
    release: () => release(),
    withoutSlot: async wait => {
      release()
      await wait()
      release = await gate.acquire(tenant, signal)
    },
  }
}

export function createFairGate(slots: number): FairGate {
  /** In the order of their next turn: a tenant that was served goes to the end. */
  const queues = new Map<string, Waiter[]>()
  let free = slots

  const releaseOnce = (): Release => {
    let isReleased = false
    return () => {
      if (isReleased) return
      isReleased = true
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

  const removeWaiter = (tenant: string, waiter: Waiter) => {
    const queue = queues.get(tenant)?.filter(other => other !== waiter) ?? []
    if (queue.length > 0) queues.set(tenant, queue)
    else queues.delete(tenant)
  }

  return {
    acquire: (tenant, signal) =>
      new Promise<Release>((resolve, reject) => {
        if (signal.aborted) return reject(signal.reason as Error)
        const onAbort = () => {
          removeWaiter(tenant, waiter)
          reject(signal.reason as Error)
        }
        const waiter: Waiter = {
          admit: () => {
            signal.removeEventListener('abort', onAbort)
            resolve(releaseOnce())
          },
        }
        signal.addEventListener('abort', onAbort, { once: true })
        queues.set(tenant, [...(queues.get(tenant) ?? []), waiter])
        serve()
      }),
  }
}
