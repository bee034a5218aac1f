import type { Nanos } from '../ledger/money.rules.ts'

/**
 * What a process has leased of an account's credit. Calls are admitted from it without asking anyone; more is asked
 * for in the background before it runs out. In Postgres's eyes the process has leased at least as much at all times:
 * what it spent or keeps no more is out of its hands before Postgres is told. Times are this process's, in ms of a
 * monotonic clock.
 */
export interface BalanceSlice {
  leasedNanos: Nanos
  /** The worst cases of calls under way. */
  reservedNanos: Nanos
  /** What calls have cost that were recorded since the last exchange. */
  spentNanos: Nanos
  /** How many calls are over. */
  settled: number
  /** The worst case of the newest call. */
  callNanos: Nanos
  usedAtMs: number
  exchangedAtMs: number
  /** Whether Postgres knows of what is leased here: not while an exchange is under way, or after one that failed. */
  saysOrigin: boolean
  /** Not asked ahead of need until then. */
  moreFromMs: number
  /** Others are short of it until then: nothing is held beyond need. */
  reducedUntilMs: number
}

/** What nobody used for so long is given back. */
const IDLE_MS = 2_000
/** How late Postgres may learn what calls really cost. */
const REPORT_AFTER_MS = 2_000
const REDUCED_MS = 1_000
/** How soon after a refusal more is asked for ahead of need. */
const ASK_PAUSE_MS = 500
/** So many calls at least are to go before Postgres must be asked; in a busy process as many as are under way. */
const CALLS_AHEAD = 8n

export const newSlice = (nowMs: number): BalanceSlice => ({
  leasedNanos: 0n,
  reservedNanos: 0n,
  spentNanos: 0n,
  settled: 0,
  callNanos: 0n,
  usedAtMs: nowMs,
  exchangedAtMs: nowMs,
  saysOrigin: true,
  moreFromMs: nowMs,
  reducedUntilMs: nowMs,
})

/** What further calls can be admitted from; below zero where calls cost more than their worst case. */
export const freeOf = ({ leasedNanos, spentNanos, reservedNanos }: BalanceSlice): Nanos =>
  leasedNanos - spentNanos - reservedNanos

/** Reserves the worst case of a call, where the slice covers it. */
export function reserveIn(slice: BalanceSlice, nanos: Nanos, nowMs: number): boolean {
  slice.usedAtMs = nowMs
  slice.callNanos = nanos
  if (freeOf(slice) < nanos) return false
  slice.reservedNanos += nanos
  return true
}

/** A call that had reserved so much is over, and has cost so much. */
export function settleIn(slice: BalanceSlice, reservedNanos: Nanos, costNanos: Nanos): void {
  slice.reservedNanos -= reservedNanos
  slice.spentNanos += costNanos
  slice.settled += 1
}

/** How much is to be free beyond the calls under way. */
export function headroomOf(slice: BalanceSlice, nowMs: number): Nanos {
  if (nowMs < slice.reducedUntilMs) return 0n
  const ahead = CALLS_AHEAD * slice.callNanos
  return slice.reservedNanos > ahead ? slice.reservedNanos : ahead
}

/** Whether more is to be asked for, so that no call has to wait for it. */
export const isRunningOut = (slice: BalanceSlice, nowMs: number): boolean =>
  nowMs >= slice.moreFromMs && freeOf(slice) < headroomOf(slice, nowMs) / 2n

/** Whether nothing is leased, and Postgres knows it. */
export const isEmpty = ({ leasedNanos, saysOrigin }: BalanceSlice): boolean => leasedNanos === 0n && saysOrigin

const isIdle = (slice: BalanceSlice, nowMs: number): boolean => nowMs - slice.usedAtMs >= IDLE_MS

/** What is due without a call. */
export function dueOf(slice: BalanceSlice, nowMs: number): 'exchange' | 'forget' | undefined {
  const { leasedNanos, reservedNanos, spentNanos } = slice
  if (!slice.saysOrigin) return 'exchange'
  if (isIdle(slice, nowMs)) {
    if (spentNanos > 0n || leasedNanos > reservedNanos) return 'exchange'
    return leasedNanos === 0n && reservedNanos === 0n ? 'forget' : undefined
  }
  return spentNanos > 0n && nowMs - slice.exchangedAtMs >= REPORT_AFTER_MS ? 'exchange' : undefined
}

/** Another needs what is held here. */
export const recall = (slice: BalanceSlice, nowMs: number): void => void (slice.reducedUntilMs = nowMs + REDUCED_MS)

/** Gives what is kept; what is not is out of this process's hands from here on. */
export function beginExchange(slice: BalanceSlice, nowMs: number): Nanos {
  const held = slice.leasedNanos - slice.spentNanos
  const wanted = slice.reservedNanos + (isIdle(slice, nowMs) ? 0n : headroomOf(slice, nowMs))
  const kept = held < wanted ? held : wanted
  slice.spentNanos = 0n
  slice.leasedNanos = kept > 0n ? kept : 0n
  slice.exchangedAtMs = nowMs
  slice.saysOrigin = false
  return slice.leasedNanos
}

/** Takes over what Postgres gave. */
export function settleExchange(slice: BalanceSlice, askedNanos: Nanos, grantedNanos: Nanos, nowMs: number): void {
  slice.leasedNanos += grantedNanos
  slice.saysOrigin = true
  if (grantedNanos < askedNanos) slice.moreFromMs = nowMs + ASK_PAUSE_MS
}
