import { admitKey } from './key.ts'
import type { KeyPrincipal } from './principal.ts'
import type { Way } from './way.ts'

const PARAMETER = 'api-key'

/** An API key in the query, for clients that can set no headers. No line of ours shows a query. */
export const queryKeyWay: Way<KeyPrincipal> = {
  schemes: { QueryApiKey: { type: 'apiKey', in: 'query', name: PARAMETER } },
  needs: `an API key: send it as the query parameter \`${PARAMETER}\``,
  enter: (deps, context) => {
    const url = context.request.url ?? ''
    const start = url.indexOf('?')
    const secret = start === -1 ? null : new URLSearchParams(url.slice(start)).get(PARAMETER)
    return secret === null || secret === '' ? undefined : admitKey(deps, context, secret)
  },
}
