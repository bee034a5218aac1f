import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { chatReplyOf, type ChatReply } from './chat-reply.ts'
import { chatCallOf, type ChatCall } from './chat-request.ts'
import { completion, completionChunks } from './chat-wire.ts'
import { hashOf } from './hash.ts'
import type { Pace } from './pace.ts'

export interface Speed {
  /** Between two words of a stream. */
  wordDelayMs: number
  /** Before a reply without `stream`; undefined: 100 to 300, by the request. */
  replyDelayMs: number | undefined
}

/** Answers POST /v1/chat/completions; stops when the client goes away. Errors before the first byte: 400. */
export async function answerChat(
  body: unknown,
  response: ServerResponse,
  disconnected: AbortSignal,
  pace: Pace,
  speed: Speed,
): Promise<void> {
  const call = chatCallOf(body)
  const reply = chatReplyOf(call)
  if (call.stream) return streamReply(call, reply, response, disconnected, pace, speed.wordDelayMs)
  await pace.pause(speed.replyDelayMs ?? usualDelayMs(call), disconnected)
  if (disconnected.aborted) return
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(completion(call, reply)))
}

async function streamReply(
  call: ChatCall,
  reply: ChatReply,
  response: ServerResponse,
  disconnected: AbortSignal,
  pace: Pace,
  wordDelayMs: number,
): Promise<void> {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
  response.write(': SANDBOX PROCESSING\n\n')
  for (const { chunk, isPaced } of completionChunks(call, reply)) {
    if (isPaced) await pace.pause(wordDelayMs, disconnected)
    if (disconnected.aborted) return
    const hasRoom = response.write(`data: ${JSON.stringify(chunk)}\n\n`)
    if (!hasRoom) await once(response, 'drain', { signal: disconnected })
  }
  response.end('data: [DONE]\n\n')
}

function usualDelayMs(call: ChatCall): number {
  return 100 + (hashOf(JSON.stringify(call.messages)) % 200)
}
