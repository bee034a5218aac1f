import { timingSafeEqual } from 'node:crypto'
import { recordAdminUse } from '../../../domain/admin/uses/admin-uses.ts'
import { unauthorized } from '../../../domain/core/errors.ts'
import { sha256 } from '../../../infra/crypto/sha256.ts'
import type { ApiDeps } from '../request/deps.ts'
import type { RequestContext } from '../request/request-context.ts'
import { bearerOf } from './api-key.ts'
import type { AdminPrincipal } from './principal.ts'
import type { Way } from './way.ts'

const HEADER = 'x-admin-token'

/** The operator's token, in either header. Each use is on record before it has any effect. */
export const adminWay: Way<AdminPrincipal> = {
  schemes: {
    AdminToken: { type: 'apiKey', in: 'header', name: HEADER },
    AdminBearer: { type: 'http', scheme: 'bearer' },
  },
  needs: `the admin token: send it as \`${HEADER}\` or \`Authorization: Bearer\``,
  enter: (deps, context, operation) => {
    const { headers } = context.request
    const own = headers[HEADER]
    if (typeof own === 'string' && own !== '') {
      if (!isAdminToken(deps, own)) throw unauthorized('The admin token is not valid.')
      return admit(deps, context, operation)
    }
    const bearer = bearerOf(() => headers.authorization)
    // Another bearer token may be a key's, which is a way of its own.
    return bearer !== undefined && isAdminToken(deps, bearer) ? admit(deps, context, operation) : undefined
  },
}

/** In constant time: digests have one length, whatever was given. */
const isAdminToken = ({ config }: Pick<ApiDeps, 'config'>, given: string): boolean =>
  config.adminToken !== undefined && timingSafeEqual(sha256(given), sha256(config.adminToken))

async function admit(deps: ApiDeps, context: RequestContext, operation: string): Promise<AdminPrincipal> {
  const { requestId, request, clientAddress } = context
  await recordAdminUse(deps, {
    requestId,
    operation,
    path: request.url?.split('?', 1)[0] ?? '',
    clientAddress: clientAddress(),
  })
  return { kind: 'admin' }
}
