import { isPaymentRequired } from '../../core/errors.ts'
import type { Reservation } from '../../money/leases/balances.ts'
import { withinCredit } from './cost-bounds.ts'
import { ModelCall, type CallDeps, type CallStart } from './model-call.ts'

/**
 * Admits a call against the account's credit. Where that does not cover it, the caller's own keys still may: the
 * call then has their routes alone. Errors: 402.
 */
export async function admitCall(deps: CallDeps, start: CallStart): Promise<ModelCall> {
  const own = start.routes.filter(route => route.credentialId !== undefined)
  if (own.length > 0 && own.length === start.routes.length) return new ModelCall(deps, start, NO_RESERVATION)
  try {
    return await withinCredit(start, async worstCaseNanos => {
      const reservation = await deps.balances.reserve(start.caller.owner.userId, worstCaseNanos)
      return new ModelCall(deps, { ...start, worstCaseNanos }, reservation)
    })
  } catch (error) {
    if (own.length === 0 || !isPaymentRequired(error)) throw error
    return new ModelCall(deps, { ...start, routes: own }, NO_RESERVATION)
  }
}

/** A reply from the cache, which costs nothing. */
export const callFromCache = (deps: CallDeps, start: CallStart): ModelCall => {
  const call = new ModelCall(deps, { ...start, routes: [] }, NO_RESERVATION)
  call.isFromCache = true
  return call
}

const NO_RESERVATION: Reservation = { settle: () => undefined }
