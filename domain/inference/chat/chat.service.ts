import type { Database } from '../../../infra/postgres/database.ts'
import { abortWhere } from '../../../infra/abort.ts'
import { admitCall, callFromCache } from '../calls/admission.ts'
import type { CallDeps, CallFacts, CallStart } from '../calls/model-call.ts'
import type { CallSurface } from '../../money/usage/surface.rules.ts'
import { requireUsableModel } from '../catalog/model-access.rules.ts'
import { callPolicyOf, type CallPolicy } from '../provider-routes/call-policy.rules.ts'
import { DomainError } from '../../core/errors.ts'
import { planRoutes } from '../provider-routes/route-plan.ts'
import { callForEvents, callForJson, type RoutedCall, type RoutingDeps } from '../provider-routes/routing.service.ts'
import type { TaskOwner, ThreadDeps } from '../threads/thread-work.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { ChatCall } from './chat-call.ts'
import { requireChatRequest } from '../chat-request/chat.rules.ts'
import type { ChatCompletionRequest, ChatCompletionResponse } from '../chat-request/chat.schema.ts'
import { chatParts, type ChatPart } from './chat-stream.ts'
import { firstSentenceWhole, toTheEnd } from './delivery.ts'
import { requireWithinWindow } from './context-window.ts'
import { countedBoundOf } from './counted-bound.ts'
import { LARGE_CHARACTERS } from '../../../infra/large-json.ts'
import { measuredChat } from './sent-chat.ts'
import { worstPriceOf } from '../chat-request/sent-chat.rules.ts'
import { completionView, isSandboxReply } from './reply.rules.ts'
import { chunksOfReply, findReply, keepingReply, keepReply, usesCache } from './reply-cache.ts'
import type { CachedReply } from './reply-cache.sql.ts'

export interface ChatDeps extends RoutingDeps, CallDeps, ThreadDeps {
  db: Database
}

export interface ChatRequest {
  requestId: string
  caller: Caller
  surface: CallSurface
  request: ChatCompletionRequest
  /** The earlier request that this one repeats. */
  replayOf?: string
  /** Aborts when the client goes away. */
  signal: AbortSignal
  /** Told the figures of the call when it ends. */
  annotate(facts: CallFacts): void
}

/** Whether the sandbox model answered, which replies say in a header. */
interface Origin {
  sandbox: boolean
}

/**
 * A chat completion, recorded and billed before it is returned.
 * Errors: 400, 402, 403, 404, 409, 429, 503; UpstreamFailure `aborted` where the client went away.
 */
export async function completeChat(
  deps: ChatDeps,
  chat: ChatRequest,
): Promise<Origin & { reply: ChatCompletionResponse }> {
  const plan = await planChat(deps, chat)
  const { owner } = chat.caller
  const cached = plan.isCached ? await findReply(deps, owner, plan.request) : undefined
  if (cached !== undefined) return replyFromCache(cachedCall(deps, plan), cached)
  const { call, routed } = await admit(deps, chat, plan)
  try {
    const { json, route, fallbackCount, headers } = await callForJson(deps, routed)
    call.call.answeredBy(route, fallbackCount)
    call.sawReply(json)
    const { usage, ipop } = await call.complete()
    const reply = completionView(call.head, json, usage, ipop)
    const sandbox = isSandboxReply(headers)
    if (plan.isCached) await keepReply(deps, owner, plan.request, { choices: reply.choices, usage, sandbox })
    return { reply, sandbox }
  } catch (error) {
    await call.fail(error)
    throw error
  }
}

/**
 * The same as a stream of parts. Resolves at the upstream's first event: until then every error is a plain reply,
 * and routes can still be changed.
 */
export async function streamChat(
  deps: ChatDeps,
  chat: ChatRequest,
): Promise<Origin & { parts: AsyncIterable<ChatPart[]> }> {
  const plan = await planChat(deps, chat)
  const { owner } = chat.caller
  const cached = plan.isCached ? await findReply(deps, owner, plan.request) : undefined
  if (cached !== undefined) {
    return { parts: chatParts(cachedCall(deps, plan), chunksOfReply(cached)), sandbox: cached.sandbox }
  }
  const { call, routed } = await admit(deps, chat, plan)
  const kept = outlivesClient(plan.request) ? abortWhere(chat.signal, isOurs) : undefined
  try {
    const asked = kept === undefined ? routed : { ...routed, signal: kept.signal }
    const { events, route, fallbackCount, headers } = await callForEvents(deps, asked)
    call.call.answeredBy(route, fallbackCount)
    const sandbox = isSandboxReply(headers)
    const parts = deliveredParts(plan.request, chatParts(call, events), kept?.release)
    if (!plan.isCached) return { parts, sandbox }
    const keep = (reply: Omit<CachedReply, 'sandbox'>) => keepReply(deps, owner, plan.request, { ...reply, sandbox })
    return { parts: keepingReply(parts, keep), sandbox }
  } catch (error) {
    kept?.release()
    await call.fail(error)
    throw error
  }
}

async function replyFromCache(
  call: ChatCall,
  { choices, usage: cachedUsage, sandbox }: CachedReply,
): Promise<Origin & { reply: ChatCompletionResponse }> {
  const json = { choices, usage: cachedUsage }
  call.sawReply(json)
  const { usage, ipop } = await call.complete()
  return { reply: completionView(call.head, json, usage, ipop), sandbox }
}

const cachedCall = (deps: ChatDeps, { request, start }: ChatPlan): ChatCall =>
  new ChatCall(deps, callFromCache(deps, start), request)

/** The parts as the request's metadata wants them delivered. */
function deliveredParts(
  request: ChatCompletionRequest,
  parts: AsyncGenerator<ChatPart[], void>,
  atEnd?: () => void,
): AsyncIterable<ChatPart[]> {
  const kept = outlivesClient(request) ? toTheEnd(parts, atEnd) : parts
  return request.metadata?.early_answer_policy === 'stream_first_sentence' ? firstSentenceWhole(kept) : kept
}

interface ChatPlan {
  /** As its metadata bounds it. */
  request: ChatCompletionRequest
  /** What leaves. */
  body: Record<string, unknown>
  policy: CallPolicy
  start: CallStart
  /** Whether its reply may come from the cache, and is kept there. */
  isCached: boolean
}

/** What is checked and decided before anything is spent: the request, the key, the routes, the most it may cost. */
async function planChat(deps: ChatDeps, chat: ChatRequest): Promise<ChatPlan> {
  const { caller } = chat
  const model = requireUsableModel(deps.catalog, chat.request.model, caller.rules)
  requireChatRequest(chat.request, model)
  const taskOwner = askerOf(chat)
  const measured = measuredChat(deps, taskOwner, chat.request, model)
  const sent = measured instanceof Promise ? await measured : measured
  const { request, body } = sent
  const policy = callPolicyOf(request.metadata, caller.rules)
  const routes = await planRoutes(deps, { owner: caller.owner, model, policy })
  const start: CallStart = {
    requestId: chat.requestId,
    caller,
    model,
    surface: chat.surface,
    requestedModel: request.model,
    metadata: request.metadata ?? null,
    routes,
    rates: sent.rates,
    worstCaseNanos: worstPriceOf(sent, 'standard'),
    counted: countedBoundOf(deps, taskOwner, sent, model),
    streamed: request.stream === true,
    replayOf: chat.replayOf,
    annotate: facts => chat.annotate(facts),
  }
  const isCached = usesCache(request) && sent.bytes <= LARGE_CHARACTERS
  return { request, body, policy, start, isCached }
}

const askerOf = ({ caller, signal }: ChatRequest): TaskOwner => ({ tenant: caller.owner.userId, signal })

/** Reserves the credit, and looks at the context window. */
async function admit(
  deps: ChatDeps,
  chat: ChatRequest,
  { request, body, policy, start }: ChatPlan,
): Promise<{ call: ChatCall; routed: RoutedCall }> {
  const { model, requestId } = start
  const call = await admitCall(deps, start)
  // After the credit: counting a very long text takes its time.
  try {
    const counted = requireWithinWindow(deps, askerOf(chat), request, model)
    if (counted !== undefined) await counted
  } catch (error) {
    call.release()
    throw error
  }
  const { routes } = call.start
  const { owner } = chat.caller
  const signal = signalOf(chat)
  return {
    call: new ChatCall(deps, call, request),
    routed: { requestId, owner, model, policy, routes, path: '/chat/completions', body, signal },
  }
}

/** A call that should outlive its client is not aborted with it. */
const signalOf = ({ request, signal }: ChatRequest): AbortSignal =>
  outlivesClient(request) ? new AbortController().signal : signal

/** A key that has ended ends the stream, whatever the request wants of a client that leaves. */
const isOurs = (reason: unknown): boolean => reason instanceof DomainError

const outlivesClient = (request: ChatCompletionRequest): boolean => request.metadata?.client_disconnect_cancel === false
