import { parseObject } from '../json.ts'
import { eventsUntil } from '../events.ts'
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
    if (body['type'] === 'message') return completionOf(body)
    if (body['type'] === 'error') throw failureOfError(body['error'])
    throw new UpstreamFailure('unavailable', 'the reply is not a message')
  },
  eventsOf: dataOfChunks,
}

/** The chunks up to `message_stop`, then one with the usage where the call asks for it. */
async function* dataOfChunks(
  { body: request, signal }: UpstreamCall,
  body: Parameters<Wire['eventsOf']>[1],
): AsyncGenerator<string[], void, undefined> {
  const translation = createTranslation()
  for await (const events of eventsUntil(body, signal, ({ event }) => event === 'message_stop')) {
    for (const { data } of events) {
      const chunks = translation.add(parseObject(data))
      if (chunks.length > 0) yield chunks.map(chunk => JSON.stringify(chunk))
    }
  }
  const last = translation.end()
  const options = request['stream_options'] as { include_usage?: unknown } | null | undefined
  if (options?.include_usage === true) yield [JSON.stringify(last)]
}
