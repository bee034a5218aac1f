import { rateLimited } from '../../domain/errors.ts'
import type { RequestAllowance } from '../../domain/limits/request-slice.rules.ts'
import type { AuthenticatedKey } from '../../domain/tenancy/keys.service.ts'
import type { ApiDeps } from '../deps.ts'
import type { Passage } from './passage.ts'
import type { AnyRoute, Auth, RouteRequest } from './route.ts'

type Deps = Pick<ApiDeps, 'requestLimits' | 'streamLimits'>

/** Counts the request against the key's limit, where it has one, and tells of it. Errors: 429 with the time to wait. */
export async function limitRequests(deps: Deps, key: AuthenticatedKey, passage: Passage): Promise<void> {
  if (key.requests_per_minute === null) return
  const allowance = await deps.requestLimits.admit(key.id, key.requests_per_minute)
  Object.assign(passage.headers, headersOf(allowance))
  if (allowance.retryAfterSeconds === undefined) return
  throw rateLimited(`This API key may make ${allowance.limit} requests a minute.`, allowance.retryAfterSeconds)
}

/** OpenAI's names and forms. */
const headersOf = ({ limit, remaining, resetSeconds }: RequestAllowance): Record<string, string> => ({
  'x-ratelimit-limit-requests': String(limit),
  'x-ratelimit-remaining-requests': String(remaining),
  'x-ratelimit-reset-requests':
    resetSeconds < 60 ? `${resetSeconds}s` : `${Math.floor(resetSeconds / 60)}m${resetSeconds % 60}s`,
})

/** Takes a slot of the key's streams, where the request asks for one; gives its release. Errors: 429. */
export async function enterStream(
  route: AnyRoute,
  deps: Deps,
  key: AuthenticatedKey | undefined,
  request: RouteRequest<undefined, undefined, undefined, Auth>,
): Promise<() => void> {
  if (key === undefined || key.concurrent_streams === null || route.streams?.(request) !== true) return () => undefined
  const leave = await deps.streamLimits.enter(key.id, key.concurrent_streams)
  // The call may go on without its client; its stream does not.
  request.signal.addEventListener('abort', leave, { once: true })
  return leave
}
