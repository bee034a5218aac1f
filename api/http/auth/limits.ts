import { rateLimited } from '../../../domain/core/errors.ts'
import type { RequestAllowance } from '../../../domain/tenancy/limits/request-slice.rules.ts'
import type { AuthenticatedKey } from '../../../domain/tenancy/keys/keys.service.ts'
import type { ApiDeps } from '../request/deps.ts'
import type { RequestContext } from '../request/request-context.ts'

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
