import { admitCall, type CallDeps, type CallFacts } from '../calls/model-call.ts'
import type { CallSurface } from '../calls/call.rules.ts'
import { requireUsableModel } from '../catalog/model-access.rules.ts'
import { priceOfCall } from '../catalog/pricing.rules.ts'
import {
  allowedRoutes,
  callForEvents,
  callForJson,
  type RoutedCall,
  type RoutingDeps,
} from '../routing/routing.service.ts'
import type { Caller } from '../tenancy/tenancy.rules.ts'
import { ChatCall } from './chat-call.ts'
import {
  contextTooLong,
  estimatedInputTokens,
  mostOutputTokens,
  requireChatRequest,
  upstreamBody,
} from './chat.rules.ts'
import type { ChatCompletionRequest, ChatCompletionResponse } from './chat.schema.ts'
import { chatParts, type ChatPart } from './chat-stream.ts'
import { certainlyTooLong } from './context-window.ts'
import { completionView } from './reply.rules.ts'

export interface ChatDeps extends RoutingDeps, CallDeps {}

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
  const { call, routed } = await admit(deps, chat)
  try {
    const { json, route, fallbackCount, headers } = await callForJson(deps, routed)
    call.call.answeredBy(route, fallbackCount)
    call.sawReply(json)
    const { usage, ipop } = await call.complete()
    return { reply: completionView(call.head, json, usage, ipop), sandbox: isSandbox(headers) }
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
): Promise<Origin & { parts: AsyncIterable<ChatPart> }> {
  const { call, routed } = await admit(deps, chat)
  try {
    const { events, route, fallbackCount, headers } = await callForEvents(deps, routed)
    call.call.answeredBy(route, fallbackCount)
    return { parts: chatParts(call, events), sandbox: isSandbox(headers) }
  } catch (error) {
    await call.fail(error)
    throw error
  }
}

const isSandbox = (headers: ReadonlyMap<string, string>): boolean => headers.get('x-ipop-sandbox') === 'true'

/** Everything that is checked before an upstream is asked: the request, the key, the context window, the credit. */
async function admit(deps: ChatDeps, chat: ChatRequest): Promise<{ call: ChatCall; routed: RoutedCall }> {
  const { caller, request, requestId, signal } = chat
  const model = requireUsableModel(deps.catalog, request.model, caller.rules)
  requireChatRequest(request, model)
  const routes = allowedRoutes(deps.catalog, model, caller.rules)
  const worstCase = { input: estimatedInputTokens(request), output: mostOutputTokens(request, model) }
  const call = await admitCall(
    deps,
    {
      requestId,
      caller,
      model,
      surface: chat.surface,
      requestedModel: request.model,
      metadata: request.metadata ?? null,
      streamed: request.stream === true,
      replayOf: chat.replayOf,
      annotate: facts => chat.annotate(facts),
    },
    priceOfCall(model.price, worstCase, 'standard'),
  )
  // After the credit: counting a very long text takes its time.
  const tooLong = certainlyTooLong(request, model)
  if (tooLong !== undefined) {
    call.release()
    throw contextTooLong(model, tooLong)
  }
  return {
    call: new ChatCall(call, request),
    routed: { requestId, model, routes, path: '/chat/completions', body: upstreamBody(request), signal },
  }
}
