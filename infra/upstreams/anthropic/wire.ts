import type { EventSourceMessage } from 'eventsource-parser'
import { parseObject } from '../json.ts'
import { eventsUntil } from '../events.ts'
import type { Chunk } from '../chunk.ts'
import { ChunkReader } from '../normal/chunks.ts'
import { normalReply } from '../normal/reply.ts'
import { chunksOf } from '../normal/stream.ts'
import { isSuspect } from '../text.ts'
import { UpstreamFailure, type UpstreamCall } from '../upstream.ts'
import type { Wire } from '../wire.ts'
import { failureOfAnthropic, failureOfError } from './failures.ts'
import { completionOf } from './reply.ts'
import { messagesRequest } from './request.ts'
import { createTranslation } from './stream.ts'

const API_VERSION = '2023-06-01'

/** Anthropic's Messages API (https://platform.claude.com/docs/en/api/messages), told in OpenAI's chat completions. */
export const anthropicWire: Wire = {
  keyHeaders: ({ apiKey }) => ({
    'anthropic-version': API_VERSION,
    ...(apiKey === undefined ? {} : { 'x-api-key': apiKey }),
  }),
  requestOf: ({ path, body }) => {
    if (path !== '/chat/completions') throw new UpstreamFailure('unknown_model', `Anthropic has no ${path}`)
    return { path: '/messages', body: messagesRequest(body) }
  },
  failureOf: failureOfAnthropic,
  replyOf: (_call, body) => {
    if (body['type'] === 'message') return normalReply(completionOf(body))
    if (body['type'] === 'error') throw failureOfError(body['error'])
    throw new UpstreamFailure('unavailable', 'the reply is not a message')
  },
  eventsOf: chunksUntilStop,
}

/**
 * The chunks up to `message_stop`, in whose place some servers have `[DONE]` or nothing. Without it a reply is whole
 * once its end was told and, where the connection broke, its usage, which comes with it.
 */
function chunksUntilStop(
  { signal }: UpstreamCall,
  body: Parameters<Wire['eventsOf']>[1],
): AsyncGenerator<Chunk[], void, undefined> {
  const reader = new ChunkReader()
  const translation = createTranslation()
  const events = eventsUntil(body, signal, {
    isEnd: isStop,
    isWhole: how => (how === 'closed' ? reader.hasEnded : reader.isComplete),
  })
  return chunksOf(reader, events, ({ data }, chunks) => {
    const suspect = isSuspect(data)
    for (const translated of translation.add(parseObject(data))) {
      const chunk = reader.add(translated, suspect)
      if (chunk !== undefined) chunks.push(chunk)
    }
  })
}

const UNNAMED_STOP = /^\s*(?:\[DONE\]|\{\s*"type"\s*:\s*"message_stop")/

/** Some servers do not name their events. */
const isStop = ({ event, data }: EventSourceMessage): boolean =>
  event === undefined ? UNNAMED_STOP.test(data) : event === 'message_stop'
