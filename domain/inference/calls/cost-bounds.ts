import { InsufficientCredit } from '../../core/errors.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'

/** A bound of a call's cost that is dear to find, since a tokenizer runs. */
export interface CountedBound {
  /** It is hardly less: whoever cannot pay this much is refused without counting. */
  leastNanos: Nanos
  /** Undefined where it cannot be counted. Errors: those of the thread. */
  count(): Promise<Nanos | undefined>
}

/** What a call can cost at the most. */
export interface CostBounds {
  worstCaseNanos: Nanos
  /** A closer bound, where the account cannot pay that one. */
  counted?: CountedBound | undefined
}

/**
 * Does work that sets the cost of a call aside: by its first bound, and where that is refused by the closer one.
 * Errors: the work's.
 */
export async function withinCredit<Result>(
  bounds: CostBounds,
  work: (worstCaseNanos: Nanos) => Promise<Result>,
): Promise<Result> {
  try {
    return await work(bounds.worstCaseNanos)
  } catch (error) {
    const closer = await closerBound(error, bounds)
    if (closer === undefined) throw error
    return work(closer)
  }
}

/** Where the refusal of the first bound leaves a chance that the account can pay it. */
async function closerBound(refusal: unknown, { worstCaseNanos, counted }: CostBounds): Promise<Nanos | undefined> {
  if (counted === undefined || !(refusal instanceof InsufficientCredit)) return undefined
  if (refusal.freeNanos < counted.leastNanos) return undefined
  const nanos = await counted.count()
  return nanos === undefined || nanos >= worstCaseNanos || nanos > refusal.freeNanos ? undefined : nanos
}
