import { unauthorized } from '../../../domain/core/errors.ts'
import type { ApiDeps } from '../request/deps.ts'
import type { RequestContext } from '../request/request-context.ts'
import { adminWay } from './admin-token.ts'
import { apiKeyWay } from './api-key.ts'
import { bearerWay } from './bearer.ts'
import { noneWay } from './none.ts'
import type { Principal, PrincipalByWay, WayName } from './principal.ts'
import { queryKeyWay } from './query-key.ts'
import { signedLinkWay } from './signed-link.ts'
import type { Way } from './way.ts'

const WAYS: { [Name in WayName]: Way<PrincipalByWay[Name]> } = {
  apiKey: apiKeyWay,
  bearer: bearerWay,
  queryKey: queryKeyWay,
  admin: adminWay,
  signedLink: signedLinkWay,
  none: noneWay,
}

export const wayOf = (name: WayName): Way => WAYS[name]

/** Who asks. Errors: 401, 429. */
export type Authenticate = (context: RequestContext) => Promise<Principal> | Principal

/**
 * What authenticates the requests of an operation: the first of its ways that the request shows anything of decides,
 * so that a wrong key is refused even where nobody needs one.
 */
export function authenticator(names: readonly WayName[], deps: ApiDeps, operation: string): Authenticate {
  const ways = names.map(wayOf)
  const needed = `This operation needs ${ways.map(({ needs }) => needs).join(', or ')}.`
  return context => {
    for (const way of ways) {
      const principal = way.enter(deps, context, operation)
      if (principal !== undefined) return principal
    }
    // Not at once: a request whose very next bytes are none of HTTP's is refused for those.
    return Promise.reject(unauthorized(needed))
  }
}
