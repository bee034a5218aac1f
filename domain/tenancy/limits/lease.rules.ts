/** Of two processes, each may hold this part of a limit; what more of them hold together is no more than twice that. */
const SLICE_DIVISOR = 20
export const HELD_DIVISOR = 10

/**
 * How much of a limit a process may hold unused: at most 5% of it, and all holders together at most 10%. 0 where that
 * is less than one: then nothing is held, and each call takes its own.
 */
export const sliceOf = (limit: number, holders: number): number =>
  Math.floor(limit / Math.max(SLICE_DIVISOR, HELD_DIVISOR * holders))

export const sumOf = (counts: readonly number[]): number => counts.reduce((sum, count) => sum + count, 0)
