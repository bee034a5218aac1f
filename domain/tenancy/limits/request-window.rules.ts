import { HELD_DIVISOR, sliceOf, sumOf } from './lease.rules.ts'

/**
 * A key's last minute, as Postgres keeps it. At all times used + held <= limit, but for a limit that was lowered.
 * Held requests become used when their holder reports them, so they are dated late, never early: no process can make
 * the key exceed its limit in any 60 s. Times are the database's, in ms.
 */
export interface RequestWindow {
  /** When, and how many; oldest first. */
  used: [atMs: number, requests: number][]
  /** By process: what it may still admit, or has admitted and not reported. */
  held: Record<string, { requests: number; atMs: number }>
}

export const WINDOW_MS = 60_000
/** A holder admits what it holds for so long without speaking. */
export const GOOD_FOR_MS = 10_000
/** Bounds the entries of a window. What is used counts shorter than a minute by up to this. */
const STEP_MS = 100

export interface RequestExchange {
  holder: string
  limit: number
  /** Admitted from the slice since the last exchange. */
  spent: number
  /** Of the slice, still to be admitted. */
  kept: number
  wantsMore: boolean
  nowMs: number
}

export interface RequestGrant {
  granted: number
  /** The granted one counts as used already: the holder reports it no more. */
  countsAsUsed: boolean
  /** The most that this holder may hold. */
  slice: number
  /** What is left of the limit for everyone. */
  free: number
  /** Until some of what is not free comes free; 0 where some is free. */
  moreInMs: number
  /** Until all of the limit is free, if nothing more is asked. */
  allInMs: number
}

/** What a process reports and gets. Pure: the caller holds the lock of the key's window. */
export function exchangeRequests(
  window: RequestWindow,
  exchange: RequestExchange,
): { state: RequestWindow; grant: RequestGrant } {
  const { holder, limit, kept, wantsMore } = exchange
  const nowMs = Math.max(exchange.nowMs, window.used.at(-1)?.[0] ?? 0)
  const others = heldByOthers(window, holder, nowMs)
  const used = withUsed(
    window.used.filter(([atMs]) => atMs + WINDOW_MS > nowMs),
    nowMs,
    exchange.spent,
  )
  const free = Math.max(0, limit - usedIn(used) - heldIn(others) - kept)
  // Slices that others got while there were fewer holders are larger: what they hold leaves less.
  const left = Math.max(0, Math.floor(limit / HELD_DIVISOR) - heldIn(others))
  const slice = Math.min(sliceOf(limit, Object.keys(others).length + 1), left)
  const countsAsUsed = slice === 0
  const granted = wantsMore ? Math.min(free, countsAsUsed ? 1 : Math.max(0, slice - kept)) : 0
  const holding = kept + (countsAsUsed ? 0 : granted)
  const next: RequestWindow = {
    used: withUsed(used, nowMs, countsAsUsed ? granted : 0),
    held: holding === 0 ? others : { ...others, [holder]: { requests: holding, atMs: nowMs } },
  }
  return { state: next, grant: { granted, countsAsUsed, slice, free: free - granted, ...timesOf(next, limit, nowMs) } }
}

/** A holder that died may have spent what it held until it was good no more: that counts for the minute after. */
const untilMs = ({ atMs }: { atMs: number }): number => atMs + GOOD_FOR_MS + WINDOW_MS

const heldByOthers = ({ held }: RequestWindow, holder: string, nowMs: number): RequestWindow['held'] =>
  Object.fromEntries(Object.entries(held).filter(([id, holding]) => id !== holder && untilMs(holding) > nowMs))

const usedIn = (used: RequestWindow['used']): number => sumOf(used.map(([, requests]) => requests))
const heldIn = (held: RequestWindow['held']): number => sumOf(Object.values(held).map(({ requests }) => requests))

function withUsed(used: RequestWindow['used'], nowMs: number, requests: number): RequestWindow['used'] {
  if (requests === 0) return used
  const atMs = nowMs - (nowMs % STEP_MS)
  const last = used.at(-1)
  if (last === undefined || last[0] < atMs) return [...used, [atMs, requests]]
  return [...used.slice(0, -1), [last[0], last[1] + requests]]
}

function timesOf({ used, held }: RequestWindow, limit: number, nowMs: number): { moreInMs: number; allInMs: number } {
  const holdings = Object.values(held)
  const leaving = [
    ...used.map(([atMs, requests]) => ({ requests, inMs: atMs + WINDOW_MS - nowMs })),
    ...holdings.map(holding => ({ requests: holding.requests, inMs: untilMs(holding) - nowMs })),
  ].sort((a, b) => a.inMs - b.inMs)
  let counted = usedIn(used) + heldIn(held)
  const isFull = counted >= limit
  const first = leaving.find(({ requests }) => (counted -= requests) < limit)
  return {
    moreInMs: isFull ? Math.max(1, first?.inMs ?? WINDOW_MS) : 0,
    // Who lives gives back what it holds sooner than that.
    allInMs: holdings.length > 0 ? WINDOW_MS : (leaving.at(-1)?.inMs ?? 0),
  }
}
