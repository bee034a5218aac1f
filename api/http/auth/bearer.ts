import { BEARER_SCHEME, bearerOf } from './api-key.ts'
import { admitKey } from './key.ts'
import type { KeyPrincipal } from './principal.ts'
import type { Way } from './way.ts'

/** An API key as a bearer token alone. */
export const bearerWay: Way<KeyPrincipal> = {
  schemes: BEARER_SCHEME,
  needs: 'an API key: send it as `Authorization: Bearer`',
  enter: (deps, context) => {
    const secret = bearerOf(() => context.request.headers.authorization)
    return secret === undefined ? undefined : admitKey(deps, context, secret)
  },
}
