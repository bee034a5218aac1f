import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { abortWhere } from '../../infra/abort.ts'
import { DomainError } from '../../domain/core/errors.ts'
import type { RequestKey } from '../../domain/tenancy/idempotency/idempotency.service.ts'
import { claimReply, type KeptReply, type ReplyClaim } from '../../domain/tenancy/idempotency/kept-replies.ts'
import type { ApiDeps } from './request/deps.ts'
import { errorReply } from './errors/ipop.ts'
import { EventStream, Reply } from './gives/gives.ts'
import { jsonOf, JsonText } from './gives/json-text.ts'
import { keptEvents, repeatedEvents } from './kept-events.ts'
import { createOutcome } from './repeat-outcome.ts'
import type { AccessFields } from './request/request-context.ts'
import type { AnyRequest, AnyRoute } from './route.ts'

type Handle = (request: AnyRequest) => unknown

const HEADER = 'idempotency-key'
/** Tells that a reply was kept of an earlier request. */
const REPEATED = { 'idempotent-replayed': 'true' }

/** Gives the digest of a body that is about to be read, where the request may come again. */
export function digestOf({ idempotent }: AnyRoute, request: IncomingMessage): (() => Buffer) | undefined {
  if (!idempotent || request.headers[HEADER] === undefined) return undefined
  const hash = createHash('sha256')
  request.on('data', (part: Buffer) => hash.update(part))
  return () => hash.digest()
}

/** Once the body is read. */
export const requestKeyOf = (request: IncomingMessage, digest: (() => Buffer) | undefined): RequestKey | undefined =>
  digest === undefined ? undefined : { key: String(request.headers[HEADER]), sha256: digest() }

/**
 * Handles a request with an Idempotency-Key once: one that comes again is given the same reply. A call that fails
 * before it used anything frees its key. What is kept is of the account's storage, which must not be full. With a key the call goes on when its client leaves, since that client may ask
 * again, unless the request says that it is to be canceled then.
 */
export async function handleOnce(route: AnyRoute, deps: ApiDeps, request: AnyRequest): Promise<unknown> {
  const handle: Handle = checked => route.handle(checked, deps)
  const { caller, requestId, repeatable } = request
  const { operation, requestKey } = repeatable
  if (caller === undefined || requestKey === undefined || route.keepsReply?.(request) !== true) return handle(request)
  const { key, sha256 } = requestKey
  const claim = { owner: caller.owner, operation, key, requestId, processId: deps.heartbeat.id }
  const kept = await claimReply(deps.db, claim, sha256)
  return kept === undefined ? handleAndKeep(deps, claim, request, handle) : repeated(kept)
}

function repeated({ status, headers, streamed, body }: KeptReply & { body: string }): Reply | EventStream {
  const all = { ...headers, ...REPEATED }
  return streamed ? repeatedEvents(body, all) : new Reply(new JsonText(body), { status, headers: all })
}

async function handleAndKeep(deps: ApiDeps, claim: ReplyClaim, request: AnyRequest, handle: Handle): Promise<unknown> {
  const { requestId } = claim
  const outcome = createOutcome(deps, claim)
  const outlives = !cancelsWithClient(request.body)
  const { signal, release } = outlives ? abortWhere(request.signal, isOurs) : unlinked(request.signal)
  const annotate = (fields: AccessFields) => {
    outcome.addUsage(fields)
    request.annotate(fields)
  }
  try {
    await deps.requireStorage(claim.owner.userId)
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
