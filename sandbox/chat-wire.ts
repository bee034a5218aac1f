import { randomUUID } from 'node:crypto'
import type { ChatReply, ToolCall } from './chat-reply.ts'
import type { ChatCall } from './chat-request.ts'

/** The reply of a call without `stream`, as OpenRouter words it. */
export function completion(call: ChatCall, reply: ChatReply): object {
  const message = {
    role: 'assistant',
    content: reply.content,
    refusal: null,
    ...(reply.toolCalls.length > 0 && { tool_calls: reply.toolCalls }),
    ...(reply.picture !== undefined && { images: [imageOf(reply.picture)] }),
  }
  const choice = { ...finish(reply), message, logprobs: null }
  const choices = Array.from({ length: call.choices }, (_, index) => ({ index, ...choice }))
  return { ...envelope(call, 'chat.completion'), choices, usage: reply.usage }
}

const imageOf = (png: Buffer): object => ({
  type: 'image_url',
  image_url: { url: `data:image/png;base64,${png.toString('base64')}` },
})

/** The chunks of a stream in order; `isPaced` for those that a model would take time to think of. */
export function* completionChunks(call: ChatCall, reply: ChatReply): Generator<{ chunk: object; isPaced: boolean }> {
  const base = envelope(call, 'chat.completion.chunk')
  const chunkOf = (
    index: number,
    delta: object,
    end: object = { finish_reason: null, native_finish_reason: null },
  ) => ({
    ...base,
    choices: [{ index, delta, ...end, logprobs: null }],
  })
  for (let index = 0; index < call.choices; index++) {
    yield { chunk: chunkOf(index, { role: 'assistant', content: reply.content === null ? null : '' }), isPaced: false }
    for (const delta of deltas(reply)) yield { chunk: chunkOf(index, delta), isPaced: true }
    yield { chunk: chunkOf(index, {}, finish(reply)), isPaced: false }
  }
  if (call.includeUsage) yield { chunk: { ...base, choices: [], usage: reply.usage }, isPaced: false }
}

function* deltas(reply: ChatReply): Generator<object> {
  for (const content of piecesOf(reply.content ?? '')) yield { content }
  for (const [index, toolCall] of reply.toolCalls.entries()) yield* toolFragments(index, toolCall)
}

/** Id and name come once, then the arguments in pieces. */
function* toolFragments(index: number, toolCall: ToolCall): Generator<object> {
  const named = { ...toolCall, function: { name: toolCall.function.name, arguments: '' } }
  yield { tool_calls: [{ index, ...named }] }
  for (const piece of piecesOf(toolCall.function.arguments)) {
    yield { tool_calls: [{ index, function: { arguments: piece } }] }
  }
}

/** Words with the space before them; a long run without spaces in pieces. */
function piecesOf(text: string): string[] {
  return text.match(/\s*\S{1,24}|\s+/gu) ?? []
}

function finish(reply: ChatReply): { finish_reason: string; native_finish_reason: string } {
  return { finish_reason: reply.finishReason, native_finish_reason: reply.finishReason }
}

function envelope(call: ChatCall, object: string): object {
  const created = Math.floor(Date.now() / 1000)
  return { id: `gen-sandbox-${randomUUID()}`, provider: 'Sandbox', model: call.model, object, created }
}
