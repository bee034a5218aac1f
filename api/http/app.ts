import type { IncomingMessage, ServerResponse } from 'node:http'
import Koa, { type Context } from 'koa'
import type { DomainError } from '../../domain/core/errors.ts'
import { newRequestId } from '../../domain/core/ids.ts'
import { prepareValidator } from '../../domain/core/validation.rules.ts'
import type { ApiDeps } from './request/deps.ts'
import { writeAccessLine } from './access-log.ts'
import { clientAddress } from './request/client-address.ts'
import { createCors, isPreflight, type Cors } from './cors.ts'
import { createDispatch, VERSION_PREFIX, type Dispatch, type Found } from './dispatch.ts'
import { MethodNotAllowed } from './errors/kinds.ts'
import { sendEmpty, sendError } from './reply.ts'
import { pipeline, type Answer } from './pipeline.ts'
import { refusalOf, unknownOperation } from './refusals.ts'
import type { RequestContext } from './request/request-context.ts'
import type { AnyRoute } from './route.ts'
import type { TakesSpec } from './takes/takes.ts'

const NEVER = new AbortController().signal

/** Answers a request; resolves when all that it started is over, and never rejects. */
export type RequestListener = (request: IncomingMessage, response: ServerResponse) => Promise<void>

/**
 * The API of the routes given. What is used of Koa: its context, which reads a request (`get`, `query`) for the pipeline
 * and goes no further, and @koa/router's `match` (dispatch.ts). What is left out, and why:
 * - middleware and `ctx.state`: every operation passes the one pipeline, and what it learns is typed (RequestContext);
 * - `app.callback()` and `respond`: a promise chain, a handler of the reply's end and headers set one by one were a
 *   twelfth of a chat's work; a reply here is whole when it is written, with its head in one write (gives/reply.ts);
 * - `ctx.throw`, `app.on('error')`: errors are the domain's, told apart in one place (errors/classify.ts).
 */
export function createApp(routes: readonly AnyRoute[], deps: ApiDeps): RequestListener {
  const koa = new Koa()
  for (const { params, query, headers, takes } of routes) {
    for (const schema of [params, query, headers, ...takes.map(schemaOf)]) prepareValidator(schema)
  }
  const cors = createCors(deps.config.corsOrigins)
  const targetOf = targetFinder(
    createDispatch(new Map(routes.map(route => [route, pipeline(route, deps)]))),
    cors,
    deps,
  )
  return (request, response) => {
    request.url = originForm(request.url ?? '')
    const ctx = koa.createContext(request, response)
    const context = newContext(ctx, deps, cors)
    const { target, params } = targetOf(request, request.url)
    return target(ctx, context, params).catch((error: unknown) => {
      // A rejection nobody handles would end the process, and with it every other request.
      deps.log.error({ requestId: context.requestId, err: error }, 'a request could not be answered')
      response.destroy()
    })
  }
}

const schemaOf = (spec: TakesSpec) =>
  spec.kind === 'json' ? spec.schema : spec.kind === 'form' ? spec.fields : undefined

/** Who answers a request: a refusal by its head, a browser's preflight, its operation, or that there is none. */
function targetFinder(dispatch: Dispatch<Answer>, cors: Cors, deps: ApiDeps) {
  const preflight: Found<Answer> = { target: preflightAnswer(cors, deps), params: {} }
  const refused = (error: DomainError): Found<Answer> => ({ target: refusal(error, deps), params: {} })
  return (request: IncomingMessage, url: string): Found<Answer> => {
    const headRefusal = refusalOf(request)
    if (headRefusal !== undefined) return refused(headRefusal)
    if (isPreflight(request)) return preflight
    const path = pathOf(url)
    return dispatch.find(request.method ?? '', path) ?? refused(unmatched(path, dispatch, deps))
  }
}

/** Answers what browsers ask before a request: on every path, so that a page can read what is said of a wrong one. */
const preflightAnswer =
  (cors: Cors, deps: ApiDeps): Answer =>
  async (_, context) => {
    try {
      sendEmpty(context, { status: 204, headers: { ...cors.preflightHeaders(context.request) } })
    } catch (error) {
      sendError(context, error)
    }
    writeAccessLine(deps, context, 'preflight', NEVER)
  }

function unmatched(path: string, dispatch: Dispatch<Answer>, { config }: ApiDeps): DomainError {
  const allowed = dispatch.methodsOf(path)
  if (allowed.length > 0) return new MethodNotAllowed(allowed)
  return unknownOperation(`${config.publicUrl}${VERSION_PREFIX}`, dispatch.behindWrongBase(path))
}

/** Answers a request that is no operation's. */
const refusal =
  (error: DomainError, deps: ApiDeps): Answer =>
  async (_, context) => {
    sendError(context, error)
    writeAccessLine(deps, context, 'unmatched', NEVER)
  }

function newContext(ctx: Context, { config }: ApiDeps, cors: Cors): RequestContext {
  const { req: request, res: response } = ctx
  const requestId = newRequestId()
  return {
    requestId,
    startedAtMs: performance.now(),
    request,
    response,
    clientAddress: () => clientAddress(request.socket.remoteAddress, ctx.get('x-forwarded-for'), config.trustedProxies),
    replyHeaders: { 'x-request-id': requestId, ...cors.headersOf(request) },
    accessFields: {},
  }
}

/** Requests may name the whole address, as those to proxies do (RFC 9112 section 3.2.2). */
const originForm = (target: string): string =>
  target.startsWith('/') ? target : target.replace(/^https?:\/\/[^/?]*\/?/i, '/')

const pathOf = (url: string): string => {
  const end = url.indexOf('?')
  return end === -1 ? url : url.slice(0, end)
}
