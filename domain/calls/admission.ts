import { DomainError, InsufficientCredit } from '../errors.ts'
import type { Reservation } from '../ledger/balances.ts'
import type { Nanos } from '../ledger/money.rules.ts'
import { ModelCall, type CallDeps, type CallStart } from './model-call.ts'

/**
 * Admits a call against the account's credit. Where that does not cover it, the caller's own keys still may: the
 * call then has their routes alone. Errors: 402.
 */
export async function admitCall(deps: CallDeps, start: CallStart): Promise<ModelCall> {
  const own = start.routes.filter(route => route.credentialId !== undefined)
  if (own.length > 0 && own.length === start.routes.length) return new ModelCall(deps, start, NO_RESERVATION)
  try {
    return await reserved(deps, start)
  } catch (error) {
    if (own.length === 0 || !isPaymentRequired(error)) throw error
    return new ModelCall(deps, { ...start, routes: own }, NO_RESERVATION)
  }
}

/** By its first bound, else by the closer one. Errors: 402. */
async function reserved(deps: CallDeps, start: CallStart): Promise<ModelCall> {
  const { userId } = start.caller.owner
  try {
    return new ModelCall(deps, start, await deps.balances.reserve(userId, start.worstCaseNanos))
  } catch (error) {
    const worstCaseNanos = countedAfter(error, start)
    if (worstCaseNanos === undefined) throw error
    return new ModelCall(deps, { ...start, worstCaseNanos }, await deps.balances.reserve(userId, worstCaseNanos))
  }
}

/** A reply from the cache, which costs nothing. */
export const callFromCache = (deps: CallDeps, start: CallStart): ModelCall => {
  const call = new ModelCall(deps, { ...start, routes: [] }, NO_RESERVATION)
  call.isFromCache = true
  return call
}

/** The closer bound, where the refusal of the first one leaves a chance that the account can pay it. */
export function countedAfter(
  refusal: unknown,
  { worstCaseNanos, counted }: Pick<CallStart, 'worstCaseNanos' | 'counted'>,
): Nanos | undefined {
  if (counted === undefined || !(refusal instanceof InsufficientCredit)) return undefined
  if (refusal.freeNanos < counted.leastNanos) return undefined
  const nanos = counted.count()
  return nanos === undefined || nanos >= worstCaseNanos || nanos > refusal.freeNanos ? undefined : nanos
}

const isPaymentRequired = (error: unknown): boolean => error instanceof DomainError && error.status === 402

const NO_RESERVATION: Reservation = { settle: () => undefined }
