/**
 * A bound on the bytes that a process holds for tenants at once. A tenant may hold half of what the others leave of it,
 * so there is room for one who comes after those who take all they can; who holds nothing may take all that is left.
 */
export interface ByteBudget {
  readonly heldBytes: number
  /** Gives what is called, once, when they are held no longer; undefined where there is no room for them now. */
  take(tenant: string, bytes: number): (() => void) | undefined
}

export function createByteBudget(mostBytes: number): ByteBudget {
  const held = new Map<string, number>()
  let heldBytes = 0

  const hasRoom = (own: number, bytes: number) => {
    if (own === 0) return heldBytes + bytes <= mostBytes
    return own + bytes <= (mostBytes - (heldBytes - own)) / 2
  }
  const add = (tenant: string, bytes: number) => {
    heldBytes += bytes
    const own = (held.get(tenant) ?? 0) + bytes
    if (own === 0) held.delete(tenant)
    else held.set(tenant, own)
  }

  return {
    get heldBytes() {
      return heldBytes
    },
    take: (tenant, bytes) => {
      if (!hasRoom(held.get(tenant) ?? 0, bytes)) return undefined
      add(tenant, bytes)
      let isHeld = true
      return () => {
        if (isHeld) add(tenant, -bytes)
        isHeld = false
      }
    },
  }
}
