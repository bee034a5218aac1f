import type { Context, Middleware } from 'koa'
import { authenticate, callerOf, limitDay } from '../../domain/tenancy/keys.service.ts'
import type { Caller } from '../../domain/tenancy/tenancy.rules.ts'
import type { ApiDeps } from '../deps.ts'
import { writeAccessLine } from './access-log.ts'
import { apiKeyOf } from './api-key.ts'
import { readJsonBody } from './body.ts'
import { isFault } from './errors.ts'
import { enterStream, limitRequests } from './limits.ts'
import { sendError, sendReply } from './reply.ts'
import type { AnyRoute, Auth, RouteRequest } from './route.ts'
import { requireValid } from '../../domain/validation.rules.ts'
import type { Passage } from './passage.ts'
import { readTexts } from './validate.ts'

const DEFAULT_BODY_LIMIT_BYTES = 1024 * 1024

/** request id -> authenticate -> rate limit -> validate -> handle -> reply -> access log, for every operation. */
export function pipeline(route: AnyRoute, deps: ApiDeps): Middleware {
  return async ctx => {
    const passage = ctx.state as Passage
    const gone = clientGone(ctx)
    try {
      const caller = await identify(route, deps, ctx, passage)
      const request = await readRequest(route, ctx, passage, caller, gone)
      const leave = await enterStream(route, deps, passage.key, request)
      try {
        const result = await route.handle(request, deps)
        await sendReply(ctx, route, result, { passage, stallMs: deps.config.streamStallMs, log: deps.log })
      } finally {
        leave()
      }
    } catch (error) {
      if (isFault(error) && !gone.aborted)
        deps.log.error({ requestId: passage.requestId, err: error }, 'request failed')
      sendError(ctx, error, passage)
    }
    writeAccessLine(deps, ctx, passage, route.path, gone)
  }
}

async function identify(route: AnyRoute, deps: ApiDeps, ctx: Context, passage: Passage): Promise<Caller | undefined> {
  if (route.auth === 'none') return undefined
  const secret = apiKeyOf(name => ctx.get(name))
  if (route.auth === 'optional' && secret === undefined) return undefined
  const key = await authenticate(deps, secret)
  passage.key = key
  await limitRequests(deps, key, passage)
  // Reading is free: clients poll.
  if (route.method !== 'GET') await limitDay(deps, key)
  return callerOf(key)
}

async function readRequest(
  route: AnyRoute,
  ctx: Context,
  passage: Passage,
  caller: Caller | undefined,
  gone: AbortSignal,
): Promise<RouteRequest<undefined, undefined, undefined, Auth>> {
  return {
    requestId: passage.requestId,
    caller: caller as never,
    clientAddress: passage.clientAddress,
    params: readParams(route, ctx) as undefined,
    query: readQuery(route, ctx) as undefined,
    body: (await readBody(route, ctx)) as undefined,
    header: name => ctx.get(name) || undefined,
    upload: ctx.req,
    signal: gone,
    annotate: fields => void Object.assign(passage.access, fields),
  }
}

function readParams(route: AnyRoute, ctx: Context): unknown {
  if (route.params === undefined) return undefined
  const params = readTexts(route.params, ctx.params as Record<string, string>)
  requireValid(route.params, params)
  return params
}

function readQuery(route: AnyRoute, ctx: Context): unknown {
  if (route.query === undefined) return undefined
  const query = readTexts(route.query, ctx.query)
  requireValid(route.query, query)
  return query
}

async function readBody(route: AnyRoute, ctx: Context): Promise<unknown> {
  if (route.body === undefined) return undefined
  const body = await readJsonBody(ctx, route.bodyLimitBytes ?? DEFAULT_BODY_LIMIT_BYTES)
  requireValid(route.body, body)
  return body
}

/** Aborts when the connection closes before the reply is whole. */
function clientGone(ctx: Context): AbortSignal {
  const controller = new AbortController()
  ctx.res.once('close', () => {
    if (!ctx.res.writableFinished) controller.abort(new Error('the client went away'))
  })
  return controller.signal
}
