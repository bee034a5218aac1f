import type { Context } from 'koa'
import type { Repeatable } from '../../domain/tenancy/idempotency/create-once.ts'
import { enterAnyProject, enterProject, type ProjectScope } from '../../domain/tenancy/projects/project-scope.ts'
import { requireValid } from '../../domain/core/validation.rules.ts'
import type { ApiDeps } from './request/deps.ts'
import { writeAccessLine } from './access-log.ts'
import type { Principal } from './auth/principal.ts'
import { authenticator } from './auth/ways.ts'
import { acquireStream } from './stream-slots.ts'
import { connectionSignal, keyEndOf } from './request/connection.ts'
import { isFault } from './errors/classify.ts'
import { jsonOf } from './gives/json-text.ts'
import { sendError, sendReply } from './reply.ts'
import { headerReader } from './headers.ts'
import { watchKey } from './key-end.ts'
import { HeldBytes } from './request/held-bytes.ts'
import { digestOf, handleOnce, requestKeyOf } from './repeats.ts'
import type { RequestContext } from './request/request-context.ts'
import type { AnyRequest, AnyRoute } from './route.ts'
import type { LargeBodies } from './takes/json.ts'
import { bodyReader } from './takes/read-body.ts'
import { readTexts } from './takes/texts.ts'

/** Answers a request of an operation; `params` are those of its path, unchecked. */
export type Answer = (ctx: Context, context: RequestContext, params: Record<string, string>) => Promise<void>

/**
 * What every operation does with a request, in this order: authenticate and limit its rate, enter its project, check
 * parameters, query and headers, read the body, handle, reply, write the access line.
 */
export function pipeline(route: AnyRoute, deps: ApiDeps): Answer {
  const operation = `${route.method} ${route.path}`
  const authenticate = authenticator(route.auth, deps, operation)
  const readBody = bodyReader(route.takes)
  const readHeaders = headerReader(route.headers)
  return async (ctx, context, pathTexts) => {
    const { request: message } = context
    const signal = connectionSignal(message.socket)
    const held = new HeldBytes(deps.byteBudget, () => tenantOf(context))
    try {
      const principal = await authenticate(context)
      const scope = route.scope === undefined ? undefined : await acquire(deps, principal, pathTexts)
      const digest = digestOf(route, message)
      const params = readChecked(route.params, pathTexts)
      const query = route.query === undefined ? undefined : readChecked(route.query, ctx.query)
      const headers = readHeaders?.(message.headers)
      const large = largeBodies(deps, context, held, signal)
      const body = readBody === undefined ? undefined : await readBody(message, large)
      const repeatable = { operation, requestKey: requestKeyOf(message, digest) }
      if (route.dialect === 'json-rpc') context.rpcId = (body as { id?: unknown } | undefined)?.id
      const read = { principal, scope, params, query, headers, body, repeatable }
      const request = requestOf(ctx, context, read, { held, signal })
      const releaseStream = await acquireStream(route, deps, context.key, request)
      const unwatch = watchKey(route, deps, context, request)
      try {
        const result = await (digest === undefined ? route.handle(request, deps) : handleOnce(route, deps, request))
        const write = (value: unknown) => jsonOf(deps, request, value)
        await sendReply(context, route, result, { stallMs: deps.config.streamStallMs, log: deps.log, signal, write })
      } finally {
        unwatch?.()
        releaseStream?.()
      }
    } catch (error) {
      if (isFault(error) && !signal.aborted)
        deps.log.error({ requestId: context.requestId, err: error }, 'request failed')
      sendError(context, keyEndOf(signal) ?? error, route.dialect)
    } finally {
      held.release()
    }
    writeAccessLine(deps, context, route.path, signal)
  }
}

interface ReadRequest {
  principal: Principal
  scope: ProjectScope | undefined
  params: unknown
  query: unknown
  headers: unknown
  body: unknown
  repeatable: Repeatable
}

/** What a handler is given. */
function requestOf(
  ctx: Context,
  context: RequestContext,
  read: ReadRequest,
  { held, signal }: { held: HeldBytes; signal: AbortSignal },
): AnyRequest {
  const { principal, scope, repeatable } = read
  return {
    requestId: context.requestId,
    principal,
    caller: principal.kind === 'key' ? principal.caller : undefined,
    scope,
    params: read.params as undefined,
    query: read.query as undefined,
    headers: read.headers as undefined,
    body: read.body as undefined,
    repeatable,
    hold: bytes => held.take(bytes),
    clientAddress: context.clientAddress,
    isHead: ctx.method === 'HEAD',
    header: name => ctx.get(name) || undefined,
    signal,
    annotate: fields => void Object.assign(context.accessFields, fields),
  }
}

const tenantOf = ({ key, clientAddress }: RequestContext): string => key?.user_id ?? clientAddress()

const largeBodies = (
  { threadWork }: ApiDeps,
  context: RequestContext,
  held: HeldBytes,
  signal: AbortSignal,
): LargeBodies => ({
  hold: bytes => held.take(bytes),
  parse: blocks => threadWork.parseJson({ tenant: tenantOf(context), signal }, blocks),
})

/** Errors: 404. */
function acquire(
  deps: ApiDeps,
  principal: Principal,
  { project_id: projectId = '' }: Record<string, string>,
): Promise<ProjectScope> {
  if (principal.kind === 'admin') return enterAnyProject(deps, projectId)
  if (principal.kind === 'key') return enterProject(deps, principal.caller.owner, projectId)
  throw new Error('an operation of a project needs a way in that tells who asks')
}

function readChecked(schema: AnyRoute['params'], given: Parameters<typeof readTexts>[1]): unknown {
  if (schema === undefined) return undefined
  const values = readTexts(schema, given)
  requireValid(schema, values)
  return values
}
