import { sliceOf, sumOf } from './lease.rules.ts'

/** The slots of a key's streams by process, as Postgres keeps them; one is a stream, or spare. Times are the database's, in ms. */
export interface StreamSlots {
  held: Record<string, { slots: number; untilMs: number }>
}

export interface SlotExchange {
  holder: string
  limit: number
  /** Open streams and spare slots; never taken away, since an open stream is not cut. */
  kept: number
  wantsMore: boolean
  leaseMs: number
  nowMs: number
}

export interface SlotGrant {
  granted: number
  /** The most spare slots that this holder may keep. */
  spare: number
}

/** Renews the holder's lease of what it keeps, and gives more where it is free: one, and spare ones. Pure. */
export function exchangeSlots(
  { held }: StreamSlots,
  { holder, limit, kept, wantsMore, leaseMs, nowMs }: SlotExchange,
): { state: StreamSlots; grant: SlotGrant } {
  const others = Object.fromEntries(
    Object.entries(held).filter(([id, { untilMs }]) => id !== holder && untilMs > nowMs),
  )
  const free = Math.max(0, limit - sumOf(Object.values(others).map(({ slots }) => slots)) - kept)
  const spare = sliceOf(limit, Object.keys(others).length + 1)
  const granted = wantsMore ? Math.min(free, 1 + spare) : 0
  const slots = kept + granted
  return {
    state: { held: slots === 0 ? others : { ...others, [holder]: { slots, untilMs: nowMs + leaseMs } } },
    grant: { granted, spare },
  }
}
