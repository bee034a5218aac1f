import { request, type Dispatcher } from 'undici'
import type { Outbound } from '../outbound/outbound.ts'
import { createDispatchers, type UpstreamTimeouts } from './dispatchers.ts'
import { failureOfReply, failureOfThrown, failureInBody } from './failures.ts'
import { dataOfEvents, withFirst } from './events.ts'
import { probe } from './probe.ts'
import {
  UpstreamFailure,
  type UpstreamCall,
  type UpstreamClient,
  type UpstreamProbe,
  type UpstreamSettings,
} from './upstream.ts'

const REPLY_LIMIT_BYTES = 64 * 1024 * 1024

/** Speaks the OpenAI-compatible wire format (https://platform.openai.com/docs/api-reference). */
export function createUpstreamClient(timeouts: UpstreamTimeouts, outbound: Outbound): UpstreamClient & UpstreamProbe {
  const dispatchers = createDispatchers(timeouts, outbound)

  const send = async (upstream: UpstreamSettings, call: UpstreamCall): Promise<Dispatcher.ResponseData> => {
    const reply = await request(upstream.baseUrl + call.path, {
      method: 'POST',
      dispatcher: dispatchers.of(upstream),
      signal: call.signal,
      headers: headersFor(upstream),
      body: JSON.stringify(call.body),
    })
    if (reply.statusCode === 200) return reply
    throw failureOfReply(reply.statusCode, headersOf(reply), await readText(reply))
  }

  return {
    json: async (upstream, call) => {
      try {
        const reply = await send(upstream, call)
        const json = parseObject(await readText(reply))
        const failure = failureInBody(json)
        if (failure !== undefined) throw failure
        return { json, headers: headersOf(reply) }
      } catch (error) {
        throw failureOfThrown(error, call.signal)
      }
    },
    events: async (upstream, call) => {
      try {
        const reply = await send(upstream, call)
        const data = dataOfEvents(reply.body, call.signal)
        const first = await firstOf(data)
        return { events: withFirst(first, data), headers: headersOf(reply) }
      } catch (error) {
        throw failureOfThrown(error, call.signal)
      }
    },
    probe: (upstream, signal) => probe(dispatchers.of(upstream), upstream, signal),
    close: () => dispatchers.close(),
  }
}

const headersFor = ({ apiKey }: UpstreamSettings): Record<string, string> => ({
  'content-type': 'application/json',
  ...(apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }),
})

const headersOf = (reply: Dispatcher.ResponseData): ReadonlyMap<string, string> =>
  new Map(Object.entries(reply.headers).map(([name, value]) => [name, String(value)]))

/** The first event. One that is a failure ends the reply. Errors: UpstreamFailure. */
async function firstOf(data: AsyncGenerator<string, void, undefined>): Promise<IteratorResult<string, void>> {
  const first = await data.next()
  if (first.done === true) return first
  try {
    const failure = failureInBody(parseObject(first.value))
    if (failure !== undefined) throw failure
    return first
  } catch (error) {
    await data.return()
    throw error
  }
}

async function readText(reply: Dispatcher.ResponseData): Promise<string> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of reply.body as AsyncIterable<Buffer>) {
    sizeBytes += part.length
    if (sizeBytes > REPLY_LIMIT_BYTES) throw new UpstreamFailure('unavailable', 'the reply is too large')
    parts.push(part)
  }
  return Buffer.concat(parts).toString('utf8')
}

function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  } catch {
    // Falls through: what is not JSON is no reply either.
  }
  throw new UpstreamFailure('unavailable', 'the reply is not a JSON object')
}
