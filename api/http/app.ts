import type { IncomingMessage, ServerResponse } from 'node:http'
import Koa, { type Context } from 'koa'
import type { DomainError } from '../../domain/errors.ts'
import { newRequestId } from '../../domain/ids.ts'
import { prepareValidator } from '../../domain/validation.rules.ts'
import type { ApiDeps } from '../deps.ts'
import { writeAccessLine } from './access-log.ts'
import { clientAddress } from './client-address.ts'
import { createCors, isPreflight, type Cors } from './cors.ts'
import type { Passage } from './passage.ts'
import { pipeline, type Answer } from './pipeline.ts'
import { MethodNotAllowed, refusalOf, unknownOperation } from './refusals.ts'
import { sendEmpty, sendError } from './reply.ts'
import type { AnyRoute } from './route.ts'
import { routeTable, VERSION_PREFIX, type RouteTable } from './route-table.ts'

const NEVER = new AbortController().signal

/** Answers a request; resolves when all that it started is over, and never rejects. */
export type RequestListener = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/** The API of the routes given: every request passes the same pipeline, every other one gets the same error body. */
export function createApp(routes: readonly AnyRoute[], deps: ApiDeps): RequestListener {
  const koa = new Koa()
  for (const { params, query, body } of routes) [params, query, body].forEach(prepareValidator)
  const table = routeTable(new Map(routes.map(route => [route, pipeline(route, deps)])))
  const cors = createCors(deps.config.corsOrigins)
  const byPattern = answerByPattern(table, deps)
  const preflight = answerPreflights(cors, deps)
  const answerOf = (request: IncomingMessage, url: string): Answer => {
    const refusal = refusalOf(request)
    if (refusal !== undefined) return refuseWith(() => refusal, deps)
    if (isPreflight(request)) return preflight
    return table.named(request.method ?? '', pathOf(url)) ?? byPattern
  }
  // Not Koa's own listener: all that it does around a request, such as ending its reply, the pipeline does.
  return (request, response) => {
    request.url = originForm(request.url ?? '')
    const ctx = koa.createContext(request, response)
    const passage = newPassage(ctx, deps, cors)
    return answerOf(request, request.url)(ctx, passage).catch((error: unknown) => {
      // A rejection nobody handles would end the process, and with it every other request.
      deps.log.error({ requestId: passage.requestId, err: error }, 'a request could not be answered')
      response.destroy()
    })
  }
}

/** Answers what no path without parameters matches. */
function answerByPattern(table: RouteTable<Answer>, deps: ApiDeps): Answer {
  const refuse = refuseWith(({ path }) => unmatched(path, table, deps), deps)
  return (ctx, passage) => {
    const found = table.matching(ctx.method, ctx.path)
    if (found === undefined) return refuse(ctx, passage)
    ctx.params = found.params
    return found.answer(ctx, passage)
  }
}

/** Answers what browsers ask before a request: on every path, so that a page can read what is said of a wrong one. */
const answerPreflights =
  (cors: Cors, deps: ApiDeps): Answer =>
  async (ctx, passage) => {
    try {
      sendEmpty(ctx, passage, { status: 204, headers: { ...cors.preflightHeaders(ctx.req) } })
    } catch (error) {
      sendError(ctx, error, passage)
    }
    writeAccessLine(deps, ctx, passage, 'preflight', NEVER)
  }

function unmatched(path: string, table: RouteTable<Answer>, { config }: ApiDeps): DomainError {
  const allowed = table.methodsOf(path)
  if (allowed.length > 0) return new MethodNotAllowed(allowed)
  return unknownOperation(`${config.publicUrl}${VERSION_PREFIX}`, table.behindWrongBase(path))
}

/** Answers a request that is no operation's. */
const refuseWith =
  (errorOf: (ctx: Context) => DomainError, deps: ApiDeps): Answer =>
  async (ctx, passage) => {
    sendError(ctx, errorOf(ctx), passage)
    writeAccessLine(deps, ctx, passage, 'unmatched', NEVER)
  }

function newPassage(ctx: Context, { config }: ApiDeps, cors: Cors): Passage {
  const requestId = newRequestId()
  return {
    requestId,
    startedAtMs: performance.now(),
    clientAddress: () => clientAddress(ctx.req.socket.remoteAddress, ctx.get('x-forwarded-for'), config.trustedProxies),
    headers: { 'x-request-id': requestId, ...cors.headersOf(ctx.req) },
    access: {},
  }
}

/** Requests may name the whole address, as those to proxies do (RFC 9112 section 3.2.2). */
const originForm = (target: string): string =>
  target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?]*\/?/i, '/')

const pathOf = (url: string): string => {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}
