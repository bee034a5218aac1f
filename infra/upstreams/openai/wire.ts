import { eventsUntil } from '../events.ts'
import { failureInBody, failureOfReply } from '../failures.ts'
import type { Fields } from '../json.ts'
import type { Chunk } from '../chunk.ts'
import { ChunkReader } from '../normal/chunks.ts'
import { normalReply } from '../normal/reply.ts'
import { chunksOf } from '../normal/stream.ts'
import type { UpstreamCall } from '../upstream.ts'
import type { Wire } from '../wire.ts'

const DONE = '[DONE]'

/** The OpenAI-compatible format (https://platform.openai.com/docs/api-reference): requests are not translated. */
export const openAiWire: Wire = {
  keyHeaders: ({ apiKey }) => (apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  requestOf: ({ path, body }) => ({ path, body }),
  failureOf: failureOfReply,
  replyOf: ({ path }, body) =>
    path === '/chat/completions' ? normalReply(withoutFailure(body)) : withoutFailure(body),
  eventsOf: chunksUntilDone,
}

function withoutFailure(body: Fields): Fields {
  const failure = failureInBody(body)
  if (failure !== undefined) throw failure
  return body
}

/** Up to `[DONE]`; without it a reply is whole once every choice has ended and, where the connection broke, its usage is there. */
function chunksUntilDone(
  { body: request, signal }: UpstreamCall,
  body: Parameters<Wire['eventsOf']>[1],
): AsyncGenerator<Chunk[], void, undefined> {
  const reader = new ChunkReader(typeof request['n'] === 'number' ? request['n'] : 1)
  const events = eventsUntil(body, signal, {
    isEnd: ({ data }) => data.trim() === DONE,
    isWhole: how => (how === 'closed' ? reader.hasEnded : reader.isComplete),
  })
  return chunksOf(reader, events, ({ data }, chunks) => {
    const chunk = reader.read(data)
    if (chunk !== undefined) chunks.push(chunk)
  })
}
