import { sliceOf } from './lease.rules.ts'
import { GOOD_FOR_MS, WINDOW_MS, type RequestExchange, type RequestGrant } from './request-window.rules.ts'

/**
 * What a process holds of a key's limit. Held requests are admitted without asking anyone; more are asked for in the
 * background when half of them are gone. Times are this process's, in ms of a monotonic clock.
 */
export interface RequestSlice {
  limit: number
  /** The most to hold. */
  size: number
  held: number
  /** Granted, and used already in Postgres's eyes; for who waits for it. */
  prepaid: number
  /** Admitted of what was held, and not reported. */
  spent: number
  /** Free for everyone when last asked. */
  free: number
  exchangedAtMs: number
  usedAtMs: number
  /** Nothing more is to be had until then, as far as is known. */
  moreAtMs: number
  askAgainAtMs: number
  allAtMs: number
}

/** What nobody asked for in so long is given back. */
const IDLE_MS = 30_000
/** Another process may give back what it held: how soon to look again. */
const LOOK_AGAIN_MS = 1_000
/** How late Postgres may learn what was used. */
const REPORT_AFTER_MS = 2_000

/** Ready to ask for the first requests. */
export const newSlice = (limit: number, nowMs: number): RequestSlice => ({
  limit,
  size: sliceOf(limit, 1),
  held: 0,
  prepaid: 0,
  spent: 0,
  free: limit,
  exchangedAtMs: nowMs,
  usedAtMs: nowMs,
  moreAtMs: nowMs,
  askAgainAtMs: nowMs,
  allAtMs: nowMs,
})

/** The key's limit was changed: what is too much of the new one is given back with the next exchange. */
export function changeLimit(slice: RequestSlice, limit: number, nowMs: number): void {
  slice.limit = limit
  slice.size = sliceOf(limit, 1)
  slice.held = Math.min(slice.held, slice.size)
  slice.free = Math.min(slice.free, limit - slice.held)
  slice.askAgainAtMs = nowMs
}

/** Admits one request, where the process holds one. */
export function admitOne(slice: RequestSlice, nowMs: number): boolean {
  slice.usedAtMs = nowMs
  if (slice.prepaid > 0) {
    slice.prepaid -= 1
    return true
  }
  if (slice.held === 0 || nowMs - slice.exchangedAtMs >= GOOD_FOR_MS) return false
  slice.held -= 1
  slice.spent += 1
  return true
}

/** Whether the last look found nothing, and it is too early for another one. */
export const isExhausted = (slice: RequestSlice, nowMs: number): boolean => nowMs < slice.askAgainAtMs

export const isRunningOut = (slice: RequestSlice, nowMs: number): boolean =>
  slice.size > 0 && slice.held <= slice.size / 2 && !isExhausted(slice, nowMs)

/** What is due without a request. */
export function dueOf(slice: RequestSlice, nowMs: number): 'report' | 'giveBack' | 'forget' | undefined {
  const isEmpty = slice.spent + slice.held === 0
  if (nowMs - slice.usedAtMs >= IDLE_MS) return isEmpty ? 'forget' : 'giveBack'
  return !isEmpty && nowMs - slice.exchangedAtMs >= reportAfterMs(slice) ? 'report' : undefined
}

const reportAfterMs = ({ spent }: RequestSlice): number => (spent > 0 ? REPORT_AFTER_MS : GOOD_FOR_MS / 2)

export type RequestReport = Omit<RequestExchange, 'holder' | 'nowMs'>

/** What to tell Postgres. What is not kept is out of this process's hands from here on. */
export function beginExchange(slice: RequestSlice, wantsMore: boolean, nowMs: number): RequestReport {
  const isGood = nowMs - slice.exchangedAtMs < GOOD_FOR_MS
  slice.held = isGood ? Math.min(slice.held, slice.size) : 0
  return { limit: slice.limit, spent: slice.spent, kept: slice.held, wantsMore }
}

/**
 * Takes over what Postgres gave; requests admitted meanwhile are reported the next time. Postgres's clock read
 * something between `sentAtMs` and `nowMs`: what ends early is counted from the one, what comes from the other.
 */
export function settleExchange(
  slice: RequestSlice,
  sent: RequestReport,
  grant: RequestGrant,
  sentAtMs: number,
  nowMs: number,
): void {
  slice.spent -= sent.spent
  if (grant.countsAsUsed) slice.prepaid += grant.granted
  else slice.held += grant.granted
  slice.size = grant.slice
  slice.free = grant.free
  slice.exchangedAtMs = sentAtMs
  slice.allAtMs = nowMs + grant.allInMs
  slice.moreAtMs = nowMs + grant.moreInMs
  const isRefusal = sent.wantsMore && grant.granted === 0 && grant.free === 0
  slice.askAgainAtMs = isRefusal ? nowMs + Math.min(grant.moreInMs, LOOK_AGAIN_MS) : nowMs
}

/** What is told to who asked; `retryAfterSeconds` is there where the request is refused. */
export interface RequestAllowance {
  limit: number
  remaining: number
  resetSeconds: number
  retryAfterSeconds?: number
}

/** After an admission all of the limit is back in a minute at the earliest, since that one is. */
export const admitted = (slice: RequestSlice): RequestAllowance => ({
  limit: slice.limit,
  remaining: slice.free + slice.held,
  resetSeconds: WINDOW_MS / 1000,
})

export const refused = (slice: RequestSlice, nowMs: number): RequestAllowance => ({
  limit: slice.limit,
  remaining: 0,
  resetSeconds: secondsUntil(slice.allAtMs, nowMs),
  retryAfterSeconds: secondsUntil(slice.moreAtMs, nowMs),
})

const secondsUntil = (atMs: number, nowMs: number): number => Math.max(1, Math.ceil((atMs - nowMs) / 1000))
