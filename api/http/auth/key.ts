import { authenticate, callerOf, limitDay } from '../../../domain/tenancy/keys/keys.service.ts'
import type { ApiDeps } from '../request/deps.ts'
import type { RequestContext } from '../request/request-context.ts'
import { limitRequests } from './limits.ts'
import type { KeyPrincipal } from './principal.ts'

/** Lets a key in, within its limits. Errors: 401 saying why, 429. */
export async function admitKey(deps: ApiDeps, context: RequestContext, secret: string): Promise<KeyPrincipal> {
  const key = await authenticate(deps, secret)
  context.key = key
  const perMinute = key.requests_per_minute ?? deps.config.defaultRequestsPerMinute
  if (perMinute !== null) await limitRequests(deps, key, perMinute, context)
  // Reading is free: clients poll.
  if (key.requests_per_day !== null && context.request.method !== 'GET') {
    await limitDay(deps, key, key.requests_per_day)
  }
  return { kind: 'key', caller: callerOf(key) }
}
