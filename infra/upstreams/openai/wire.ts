import { eventsUntil } from '../events.ts'
import { failureInBody, failureOfReply } from '../failures.ts'
import { parseObject } from '../json.ts'
import type { UpstreamCall } from '../upstream.ts'
import type { Wire } from '../wire.ts'

const DONE = '[DONE]'

/** The OpenAI-compatible format (https://platform.openai.com/docs/api-reference): nothing is translated. */
export const openAiWire: Wire = {
  keyHeaders: ({ apiKey }) => (apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
  requestOf: ({ path, body }) => ({ path, body }),
  failureOf: failureOfReply,
  replyOf: (_call, body) => withoutFailure(body),
  eventsOf: dataOfEvents,
}

function withoutFailure<Body extends Record<string, unknown>>(body: Body): Body {
  const failure = failureInBody(body)
  if (failure !== undefined) throw failure
  return body
}

/** The data up to `[DONE]`. The first event is looked at: one that is a failure ends the reply. */
async function* dataOfEvents(
  { signal }: UpstreamCall,
  body: Parameters<Wire['eventsOf']>[1],
): AsyncGenerator<string[], void, undefined> {
  let isFirst = true
  for await (const events of eventsUntil(body, signal, event => event.data === DONE)) {
    if (isFirst) withoutFailure(parseObject(events[0]?.data ?? ''))
    isFirst = false
    yield events.map(event => event.data)
  }
}
