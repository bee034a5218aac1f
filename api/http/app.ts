import Koa from 'koa'
import Router from '@koa/router'
import { DomainError } from '../../domain/errors.ts'
import { newRequestId } from '../../domain/ids.ts'
import type { ApiDeps } from '../deps.ts'
import { writeAccessLine } from './access-log.ts'
import { clientAddress } from './client-address.ts'
import type { Passage } from './passage.ts'
import { pipeline } from './pipeline.ts'
import { sendError } from './reply.ts'
import type { AnyRoute } from './route.ts'
import { prepareValidator } from '../../domain/validation.rules.ts'

const VERSION_PREFIX = '/v1'
const NEVER = new AbortController().signal

/** The API of the routes given: every request passes the same pipeline, every other one gets the same error body. */
export function createApp(routes: readonly AnyRoute[], deps: ApiDeps): Koa {
  const app = new Koa()
  app.silent = true
  app.use(async (ctx, next) => {
    const requestId = newRequestId()
    const passage: Passage = {
      requestId,
      startedAtMs: performance.now(),
      clientAddress: () =>
        clientAddress(ctx.req.socket.remoteAddress, ctx.get('x-forwarded-for'), deps.config.trustedProxies),
      headers: { 'x-request-id': requestId },
      access: {},
    }
    ctx.state = passage
    await next()
    if (ctx._matchedRoute !== undefined) return
    sendError(ctx, unmatched(ctx.res.hasHeader('allow')), passage)
    writeAccessLine(deps, ctx, passage, 'unmatched', NEVER)
  })
  const routers = routersOf(routes, deps)
  app.use((ctx, next) => routers.get(firstWord(ctx.path.slice(VERSION_PREFIX.length)))?.(ctx, next) ?? next())
  // It looks at what was matched alone, so that any router's will do.
  app.use(new Router().allowedMethods())
  return app
}

/** A router for each first word of a path: one router would try the patterns of all routes for every request. */
function routersOf(routes: readonly AnyRoute[], deps: ApiDeps): Map<string, Koa.Middleware> {
  const routers = new Map<string, Router>()
  for (const route of routes) {
    ;[route.params, route.query, route.body].forEach(prepareValidator)
    const router = routers.get(firstWord(route.path)) ?? new Router({ prefix: VERSION_PREFIX })
    router.register(routerPath(route), [route.method], pipeline(route, deps))
    routers.set(firstWord(route.path), router)
  }
  return new Map([...routers].map(([word, router]) => [word, router.routes() as Koa.Middleware]))
}

const firstWord = (path: string): string => path.split('/', 2)[1] ?? ''

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
