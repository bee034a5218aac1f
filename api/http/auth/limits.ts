import { rateLimited } from '../../../domain/errors.ts'
import type { RequestAllowance } from '../../../domain/limits/request-slice.rules.ts'
import type { AuthenticatedKey } from '../../../domain/tenancy/keys.service.ts'
import type { ApiDeps } from '../../deps.ts'
import type { RequestContext } from '../request-context.ts'
import type { AnyRequest, AnyRoute } from '../route.ts'

type Deps = Pick<ApiDeps, 'requestLimits' | 'streamLimits'>

/** Counts the request against the key's limit, and tells of it. Errors: 429 with the time to wait. */
export async function limitRequests(
  deps: Deps,
  key: AuthenticatedKey,
  perMinute: number,
  context: RequestContext,
): Promise<void> {
  const allowance = await deps.requestLimits.admit(key.id, perMinute)
  Object.assign(context.replyHeaders, headersOf(allowance))
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

/** Takes a slot of the key's streams, where the request asks for one that is counted; gives its release. Errors: 429. */
export function enterStream(
  route: AnyRoute,
  deps: Deps,
  key: AuthenticatedKey | undefined,
  request: AnyRequest,
): Promise<() => void> | undefined {
  if (key === undefined || key.concurrent_streams === null || route.streams?.(request) !== true) return undefined
  return takeSlot(deps, key.id, key.concurrent_streams, request)
}

async function takeSlot(deps: Deps, keyId: string, slots: number, request: AnyRequest): Promise<() => void> {
  const giveBack = await deps.streamLimits.enter(keyId, slots)
  const leave = () => {
    request.signal.removeEventListener('abort', leave)
    giveBack()
  }
  // The call may go on without its client; its stream does not.
  request.signal.addEventListener('abort', leave)
  return leave
}
