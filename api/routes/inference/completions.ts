import { CompletionRequest, CompletionResponse } from '../../../domain/inference/completions/completion.schema.ts'
import { complete, streamCompletion } from '../../../domain/inference/completions/completion.service.ts'
import { SANDBOX_HEADER } from './chat.ts'
import { events, EventStream, Reply } from '../../http/gives/gives.ts'
import { route } from '../../http/route.ts'
import { json } from '../../http/takes/takes.ts'
import { failureAsData } from '../../http/gives/stream-failure.ts'

const BODY_LIMIT_BYTES = 32 * 1024 * 1024

export const completionRoutes = [
  route({
    method: 'POST',
    path: '/completions',
    auth: 'apiKey',
    summary: 'Create a text completion (legacy)',
    description:
      "OpenAI's legacy completions, served over chat for clients whose default they are: the prompt is a user's message. " +
      'Up to eight prompts in one request, each recorded and charged as a chat; `echo`, `n`, `stop` and streaming. ' +
      '`max_tokens` is 16 unless told. `suffix`, `logprobs`, `best_of` and prompts of token ids are refused.',
    takes: json(CompletionRequest, { mostBytes: BODY_LIMIT_BYTES }),
    gives: [json(CompletionResponse), events()],
    errors: { 403: 'The key may not use the model', 404: 'There is no such model' },
    idempotent: () => true,
    streams: ({ body }) => body.stream === true,
    handle: async ({ requestId, caller, body, signal, annotate }, deps) => {
      const call = { requestId, caller, request: body, signal, annotate }
      if (body.stream === true) {
        const { events, sandbox } = await streamCompletion(deps, call)
        return new EventStream(events, failureAsData, sandbox ? { headers: SANDBOX_HEADER } : {})
      }
      const { reply, sandbox } = await complete(deps, call)
      return new Reply(reply, { headers: sandbox ? SANDBOX_HEADER : {} })
    },
  }),
]
