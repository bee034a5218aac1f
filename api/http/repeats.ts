import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { Type } from 'typebox'
import { abortWhere } from '../../infra/abort.ts'
import { DomainError } from '../../domain/errors.ts'
import type { RequestKey } from '../../domain/idempotency/idempotency.service.ts'
import { claimReply, type KeptReply, type ReplyClaim } from '../../domain/idempotency/kept-replies.ts'
import type { ApiDeps } from '../deps.ts'
import { errorReply } from './errors.ts'
import { jsonOf, JsonText } from './json-text.ts'
import { keptEvents, repeatedEvents } from './kept-events.ts'
import { createOutcome } from './repeat-outcome.ts'
import { EventStream, Reply, type AccessFields, type AnyRoute, type Auth, type RouteRequest } from './route.ts'

type Request = RouteRequest<undefined, undefined, undefined, Auth>
type Handle = (request: Request) => unknown

const HEADER = 'idempotency-key'
/** Tells that a reply was kept of an earlier request. */
const REPEATED = { 'idempotent-replayed': 'true' }

export const IDEMPOTENCY_HEADERS = Type.Object({ 'Idempotency-Key': Type.Optional(Type.String({ maxLength: 255 })) })

/** Gives the digest of a body that is about to be read, where the request may come again. */
export function digestOf({ body }: AnyRoute, request: IncomingMessage): (() => Buffer) | undefined {
  if (body === undefined || request.headers[HEADER] === undefined) return undefined
  const hash = createHash('sha256')
  request.on('data', (part: Buffer) => hash.update(part))
  return () => hash.digest()
}

/** Once the body is read. */
export const requestKeyOf = (request: IncomingMessage, digest: (() => Buffer) | undefined): RequestKey | undefined =>
  digest === undefined ? undefined : { key: String(request.headers[HEADER]), sha256: digest() }

/**
 * Handles a request with an Idempotency-Key once: one that comes again is given the same reply. A call that fails
 * before it used anything frees its key. With a key the call goes on when its client leaves, since that client may ask
 * again, unless the request says that it is to be canceled then.
 */
export async function handleOnce(
  route: AnyRoute,
  deps: ApiDeps,
  request: Request,
  { key, sha256 }: RequestKey,
): Promise<unknown> {
  const handle: Handle = checked => route.handle(checked, deps)
  const operation = route.repeats?.(request)
  const { caller, requestId } = request
  if (operation === undefined || caller === undefined) return handle(request)
  const claim = { owner: caller.owner, operation, key, requestId, processId: deps.life.id }
  const kept = await claimReply(deps.db, claim, sha256)
  return kept === undefined ? handleAndKeep(deps, claim, request, handle) : repeated(kept)
}

function repeated({ status, headers, streamed, body }: KeptReply & { body: string }): Reply | EventStream {
  const all = { ...headers, ...REPEATED }
  return streamed ? repeatedEvents(body, all) : new Reply(new JsonText(body), { status, headers: all })
}

async function handleAndKeep(deps: ApiDeps, claim: ReplyClaim, request: Request, handle: Handle): Promise<unknown> {
  const { requestId } = claim
  const outcome = createOutcome(deps, claim)
  const outlives = !cancelsWithClient(request.body)
  const { signal, release } = outlives ? abortWhere(request.signal, isOurs) : unlinked(request.signal)
  const annotate = (fields: AccessFields) => {
    outcome.saw(fields)
    request.annotate(fields)
  }
  try {
    const result = await handle({ ...request, annotate, signal })
    if (result instanceof EventStream) return keptEvents(result, { requestId, outcome, signal, outlives, release })
    release()
    const { status, headers, body } = result instanceof Reply ? result : new Reply(result)
    const json = jsonOf(deps, request, body)
    const text = typeof json === 'string' ? json : await json
    await outcome.keep({ status: status ?? 200, headers, streamed: false, body: text })
    return new Reply(new JsonText(text), { ...(status === undefined ? {} : { status }), headers })
  } catch (error) {
    release()
    const { body, ...head } = errorReply(error, requestId)
    await outcome.keepIfUsed({ ...head, streamed: false, body: JSON.stringify(body) })
    throw error
  }
}

const unlinked = (signal: AbortSignal) => ({ signal, release: () => undefined })

/** The end of its key ends a call in any case. */
const isOurs = (reason: unknown): boolean => reason instanceof DomainError

const cancelsWithClient = (body: unknown): boolean =>
  (body as { metadata?: { client_disconnect_cancel?: unknown } | null } | undefined)?.metadata
    ?.client_disconnect_cancel === true
