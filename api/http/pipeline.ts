import type { Context } from 'koa'
import type { TSchema } from 'typebox'
import { authenticate, callerOf, limitDay } from '../../domain/tenancy/keys.service.ts'
import type { Caller } from '../../domain/tenancy/tenancy.rules.ts'
import type { ApiDeps } from '../deps.ts'
import type { RequestKey } from '../../domain/idempotency/idempotency.service.ts'
import { writeAccessLine } from './access-log.ts'
import { apiKeyOf } from './api-key.ts'
import { readJsonBody } from './body.ts'
import { isFault } from './errors.ts'
import { connectionSignal } from './connection.ts'
import { keyEndOf, watchKey } from './key-end.ts'
import { enterStream, limitRequests } from './limits.ts'
import { HeldBytes } from './held-bytes.ts'
import { digestOf, handleOnce, requestKeyOf } from './repeats.ts'
import { sendError, sendReply } from './reply.ts'
import type { AnyRoute, Auth, RouteRequest } from './route.ts'
import { requireValid } from '../../domain/validation.rules.ts'
import { jsonOf } from './json-text.ts'
import type { Passage } from './passage.ts'
import { readTexts } from './validate.ts'

const DEFAULT_BODY_LIMIT_BYTES = 1024 * 1024

/** Answers a request of an operation. */
export type Answer = (ctx: Context, passage: Passage) => Promise<void>

/** request id -> authenticate -> rate limit -> params, query -> body -> handle -> reply -> access log, for every operation. */
export function pipeline(route: AnyRoute, deps: ApiDeps): Answer {
  return async (ctx, passage) => {
    const gone = connectionSignal(ctx.req.socket)
    const held = new HeldBytes(deps.byteBudget, () => tenantOf(passage))
    try {
      const caller = await identify(route, deps, ctx, passage)
      const digest = digestOf(route, ctx.req)
      const read = { params: readParams(route, ctx), query: readQuery(route, ctx) }
      const body =
        route.body === undefined ? undefined : await readBody(route, route.body, deps, ctx, { passage, held, gone })
      const requestKey = requestKeyOf(ctx.req, digest)
      const request = requestOf(ctx, passage, { caller, ...read, body, requestKey, held, gone })
      const leave = await enterStream(route, deps, passage.key, request)
      const unwatch = watchKey(route, deps, ctx, passage, request)
      try {
        const result = await (requestKey === undefined
          ? route.handle(request, deps)
          : handleOnce(route, deps, request, requestKey))
        const write = (value: unknown) => jsonOf(deps, request, value)
        await sendReply(ctx, route, result, { passage, stallMs: deps.config.streamStallMs, log: deps.log, gone, write })
      } finally {
        unwatch?.()
        leave?.()
      }
    } catch (error) {
      if (isFault(error) && !gone.aborted)
        deps.log.error({ requestId: passage.requestId, err: error }, 'request failed')
      sendError(ctx, keyEndOf(gone) ?? error, passage)
    } finally {
      held.release()
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
  const perMinute = key.requests_per_minute ?? deps.config.defaultRequestsPerMinute
  if (perMinute !== null) await limitRequests(deps, key, perMinute, passage)
  // Reading is free: clients poll.
  if (key.requests_per_day !== null && route.method !== 'GET') await limitDay(deps, key, key.requests_per_day)
  return callerOf(key)
}

interface ReadRequest {
  caller: Caller | undefined
  params: unknown
  query: unknown
  body: unknown
  requestKey: RequestKey | undefined
  held: HeldBytes
  gone: AbortSignal
}

function requestOf(
  ctx: Context,
  passage: Passage,
  { caller, params, query, body, requestKey, held, gone }: ReadRequest,
): RouteRequest<undefined, undefined, undefined, Auth> {
  return {
    requestId: passage.requestId,
    caller,
    clientAddress: passage.clientAddress,
    params: params as undefined,
    query: query as undefined,
    body: body as undefined,
    requestKey,
    hold: bytes => held.take(bytes),
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

const tenantOf = ({ key, clientAddress }: Passage): string => key?.user_id ?? clientAddress()

async function readBody(
  route: AnyRoute,
  schema: TSchema,
  { threadWork }: ApiDeps,
  ctx: Context,
  { passage, held, gone }: { passage: Passage; held: HeldBytes; gone: AbortSignal },
): Promise<unknown> {
  const body = await readJsonBody(ctx, route.bodyLimitBytes ?? DEFAULT_BODY_LIMIT_BYTES, {
    hold: bytes => held.take(bytes),
    parse: blocks => threadWork.parseJson({ tenant: tenantOf(passage), signal: gone }, blocks),
  })
  requireValid(schema, body)
  return body
}
