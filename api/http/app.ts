import type { IncomingMessage, ServerResponse } from 'node:http'
import Koa, { type Context } from 'koa'
import Router from '@koa/router'
import { DomainError } from '../../domain/errors.ts'
import { newRequestId } from '../../domain/ids.ts'
import { prepareValidator } from '../../domain/validation.rules.ts'
import type { ApiDeps } from '../deps.ts'
import { writeAccessLine } from './access-log.ts'
import { clientAddress } from './client-address.ts'
import type { Passage } from './passage.ts'
import { pipeline, type Answer } from './pipeline.ts'
import { sendError } from './reply.ts'
import type { AnyRoute } from './route.ts'

const VERSION_PREFIX = '/v1'
const NEVER = new AbortController().signal

/** Answers a request; resolves when all that it started is over, and never rejects. */
export type RequestListener = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** The API of the routes given: every request passes the same pipeline, every other one gets the same error body. */
export function createApp(routes: readonly AnyRoute[], deps: ApiDeps): RequestListener {
  const koa = new Koa()
  const byName = new Map<string, Answer>()
  const routers = new Map<string, Router>()
  for (const route of routes) {
    ;[route.params, route.query, route.body].forEach(prepareValidator)
    const answer = pipeline(route, deps)
    byName.set(`${route.method} ${VERSION_PREFIX}${route.path}`, answer)
    const router = routers.get(firstWord(route.path)) ?? new Router({ prefix: VERSION_PREFIX })
    router.register(routerPath(route), [route.method], ctx => answer(ctx, ctx.state))
    routers.set(firstWord(route.path), router)
  }
  const byPattern = patternsOf(routers, deps)
  // Not Koa's own listener: all that it does around a request, such as ending its reply, the pipeline does.
  return (request, response) => {
    const ctx = koa.createContext(request, response)
    const passage = newPassage(ctx, deps)
    const answer = byName.get(`${request.method} ${pathOf(request.url ?? '')}`) ?? byPattern
    return answer(ctx, passage).catch((error: unknown) => {
      // A rejection nobody handles would end the process, and with it every other request.
      deps.log.error({ requestId: passage.requestId, err: error }, 'a request could not be answered')
      response.destroy()
    })
  }
}

/** Answers what no path without parameters matches: one router for all would try every pattern for every request. */
function patternsOf(routers: ReadonlyMap<string, Router>, deps: ApiDeps): Answer {
  const byWord = new Map([...routers].map(([word, router]) => [word, router.routes() as Koa.Middleware]))
  // It looks at what was matched alone, so that any router's will do.
  const allowedMethods = new Router().allowedMethods() as Koa.Middleware
  return async (ctx, passage) => {
    ctx.state = passage
    // What Koa's listener starts with: `allowedMethods` answers only what nothing has answered.
    ctx.status = 404
    try {
      const router = byWord.get(firstWord(ctx.path.slice(VERSION_PREFIX.length)))
      await router?.(ctx, async () => allowedMethods(ctx, async () => undefined))
      if (ctx._matchedRoute !== undefined) return
      throw unmatched(ctx.res.hasHeader('allow'))
    } catch (error) {
      sendError(ctx, error, passage)
      writeAccessLine(deps, ctx, passage, 'unmatched', NEVER)
    }
  }
}

function newPassage(ctx: Context, { config }: ApiDeps): Passage {
  const requestId = newRequestId()
  return {
    requestId,
    startedAtMs: performance.now(),
    clientAddress: () => clientAddress(ctx.req.socket.remoteAddress, ctx.get('x-forwarded-for'), config.trustedProxies),
    headers: { 'x-request-id': requestId },
    access: {},
  }
}

const pathOf = (url: string): string => {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
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
