import { findContent, type ContentRow } from '../capture/content.service.ts'
import type { CallFacts } from '../calls/model-call.ts'
import type { ChatCompletionRequest, ChatCompletionResponse } from '../chat-request/chat.schema.ts'
import { completeChat, type ChatDeps } from '../chat/chat.service.ts'
import { metadataIfSteering } from '../metadata/metadata.rules.ts'
import { conflict } from '../../core/errors.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { requireRequest } from './history.service.ts'

export interface ReplayCall {
  requestId: string
  caller: Caller
  /** The request to repeat. */
  originalId: string
  /** Aborts when the client goes away. */
  signal: AbortSignal
  annotate(facts: CallFacts): void
}

/**
 * Asks the same model again what a retained request asked; billed as any call, never from the cache, and linked to the
 * original in its history. Errors: 404; 409 where the request was not retained as it was; those of a chat completion.
 */
export async function replayRequest(
  deps: ChatDeps,
  call: ReplayCall,
): Promise<{ reply: ChatCompletionResponse; sandbox: boolean }> {
  const original = await requireRequest(deps, call.caller, call.originalId)
  const content = requireReplayable(await findContent(deps, call.caller.owner, original.id))
  const request = {
    ...content.request,
    model: original.model,
    stream: false,
    metadata: { ...metadataIfSteering(original.metadata), cache_mode: 'bypass' },
  } as ChatCompletionRequest
  return completeChat(deps, {
    requestId: call.requestId,
    caller: call.caller,
    surface: 'replay',
    request,
    replayOf: original.id,
    signal: call.signal,
    annotate: facts => call.annotate(facts),
  })
}

function requireReplayable(content: ContentRow | undefined): ContentRow {
  if (content === undefined) {
    throw conflict(
      'This request was not retained, so it cannot be replayed: set the inference policy of its project to keep requests.',
      'request_id',
    )
  }
  if (content.redacted)
    throw conflict('This request was redacted when it was kept, so it cannot be replayed.', 'request_id')
  if (content.truncated) {
    throw conflict(
      'This request was cut to `max_chars_per_message` when it was kept, so it cannot be replayed.',
      'request_id',
    )
  }
  return content
}
