import { ChatCompletionRequest, ChatCompletionResponse } from '../../../domain/inference/chat-request/chat.schema.ts'
import { chatEvents } from '../../../domain/inference/chat/chat-stream.ts'
import { wantsUsageChunk } from '../../../domain/inference/chat-request/chat.rules.ts'
import { completeChat, streamChat, type ChatRequest } from '../../../domain/inference/chat/chat.service.ts'
import { events, EventStream, Reply } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'
import { failureAsData } from '../../http/gives/stream-failure.ts'

const BODY_LIMIT_BYTES = 32 * 1024 * 1024
/** Says that no real model answered. */
export const SANDBOX_HEADER = { 'x-ipop-sandbox': 'true' }

export const chatRoutes = [
  route({
    method: 'POST',
    path: '/chat/completions',
    auth: 'apiKey',
    summary: 'Create a chat completion',
    description:
      "OpenAI's chat completions over any model of the catalog: tools, image parts, response formats, streaming. " +
      'Fields by which models are steered pass through to the model; what could cost more than was priced does not. Every call is priced, recorded and charged before its reply ends.',
    takes: json(ChatCompletionRequest, { mostBytes: BODY_LIMIT_BYTES }),
    gives: [json(ChatCompletionResponse), events()],
    errors: { 403: 'The key may not use the model', 404: 'There is no such model' },
    idempotent: () => true,
    streams: ({ body }) => body.stream === true,
    handle: async ({ requestId, caller, body, signal, annotate }, deps) => {
      const chat: ChatRequest = { requestId, caller, surface: 'chat', request: body, signal, annotate }
      if (body.stream === true) {
        const { parts, sandbox } = await streamChat(deps, chat)
        const events = chatEvents(parts, wantsUsageChunk(body))
        return new EventStream(events, failureAsData, sandbox ? { headers: SANDBOX_HEADER } : {})
      }
      const { reply, sandbox } = await completeChat(deps, chat)
      return new Reply(reply, { headers: sandbox ? SANDBOX_HEADER : {} })
    },
  }),
]
