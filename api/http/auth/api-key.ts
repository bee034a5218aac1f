import { admitKey } from './key.ts'
import type { KeyPrincipal } from './principal.ts'
import type { Way } from './way.ts'

type HeaderOf = (name: string) => string | undefined

/** The bearer token that a request carries (RFC 6750 section 2.1). */
export function bearerOf(header: HeaderOf): string | undefined {
  return /^Bearer +(.+)$/i.exec(header('authorization') ?? '')?.[1]?.trim()
}

/** The key that a request carries, as it came: `x-api-key`, else the bearer token. */
export function apiKeyOf(header: HeaderOf): string | undefined {
  const own = header('x-api-key') ?? ''
  return own === '' ? bearerOf(header) : own
}

export const BEARER_SCHEME = { BearerApiKey: { type: 'http', scheme: 'bearer' } }

/** An API key, in either header. */
export const apiKeyWay: Way<KeyPrincipal> = {
  schemes: { ApiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' }, ...BEARER_SCHEME },
  needs: 'an API key: send it as `x-api-key` or `Authorization: Bearer`',
  enter: (deps, context) => {
    const secret = apiKeyOf(name => context.request.headers[name] as string | undefined)
    return secret === undefined ? undefined : admitKey(deps, context, secret)
  },
}
