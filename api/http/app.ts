import Koa from 'koa'
import Router from '@koa/router'
import { DomainError } from '../../domain/errors.ts'
import { newRequestId } from '../../domain/ids.ts'
import type { ApiDeps } from '../deps.ts'
import { writeAccessLine } from './access-log.ts'
import { clientAddress } from './client-address.ts'
import type { Passage } from './passage.ts'
import { pipeline, sendError } from './pipeline.ts'
import type { AnyRoute } from './route.ts'
import { prepareValidator } from '../../domain/validation.rules.ts'

const VERSION_PREFIX = '/v1'
const NEVER = new AbortController().signal

/** The API of the routes given: every request passes the same pipeline, every other one gets the same error body. */
export function createApp(routes: readonly AnyRoute[], deps: ApiDeps): Koa {
  const app = new Koa()
  app.silent = true
  app.use(async (ctx, next) => {
    const passage: Passage = {
      requestId: newRequestId(),
      startedAtMs: performance.now(),
      clientAddress: () =>
        clientAddress(ctx.req.socket.remoteAddress, ctx.get('x-forwarded-for'), deps.config.trustedProxies),
      access: {},
    }
    ctx.state = passage
    ctx.set('x-request-id', passage.requestId)
    await next()
    if (ctx._matchedRoute !== undefined) return
    sendError(ctx, unmatched(ctx.res.hasHeader('allow')), passage)
    writeAccessLine(deps, ctx, passage, 'unmatched', NEVER)
  })
  const router = new Router({ prefix: VERSION_PREFIX })
  for (const route of routes) {
    ;[route.params, route.query, route.body].forEach(prepareValidator)
    router.register(routerPath(route), [route.method], pipeline(route, deps))
  }
  app.use(router.routes())
  app.use(router.allowedMethods())
  return app
}

/** OpenAPI's `/files/{file_id}` as the router's `/files/:file_id`; a tail parameter takes the rest, slashes and all. */
function routerPath({ path, tail }: AnyRoute): string {
  const named = path.replaceAll(/\{(\w+)\}/g, ':$1')
  return tail === true ? named.replace(/:(\w+)$/, '*$1') : named
}

/** The router names the methods that a known path takes. */
function unmatched(isKnownPath: boolean): DomainError {
  if (isKnownPath) {
    return new DomainError(405, 'bad_request', 'This path does not take that method.', { type: 'method_not_allowed' })
  }
  return new DomainError(404, 'bad_request', 'There is no such operation.', { type: 'not_found' })
}
