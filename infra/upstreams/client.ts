import { request, type Dispatcher } from 'undici'
import type { Outbound } from '../outbound/outbound.ts'
import { anthropicWire } from './anthropic/wire.ts'
import { createDispatchers, type UpstreamTimeouts } from './dispatchers.ts'
import { failureOfThrown } from './failures.ts'
import { withFirst } from './events.ts'
import { parseObject } from './json.ts'
import { openAiWire } from './openai/wire.ts'
import { probe } from './probe.ts'
import {
  UpstreamFailure,
  type UpstreamCall,
  type UpstreamClient,
  type UpstreamProbe,
  type UpstreamSettings,
} from './upstream.ts'
import type { Wire } from './wire.ts'

const REPLY_LIMIT_BYTES = 64 * 1024 * 1024

const WIRES = { openai: openAiWire, anthropic: anthropicWire }
const wireOf = ({ wire = 'openai' }: UpstreamSettings): Wire => WIRES[wire]

/** Speaks each upstream's wire format; callers see OpenAI's alone. */
export function createUpstreamClient(timeouts: UpstreamTimeouts, outbound: Outbound): UpstreamClient & UpstreamProbe {
  const dispatchers = createDispatchers(timeouts, outbound)

  const send = async (upstream: UpstreamSettings, call: UpstreamCall): Promise<Dispatcher.ResponseData> => {
    const wire = wireOf(upstream)
    const { path, body } = wire.requestOf(call)
    const reply = await request(upstream.baseUrl + path, {
      method: 'POST',
      dispatcher: dispatchers.of(upstream),
      signal: call.signal,
      headers: { 'content-type': 'application/json', ...wire.keyHeaders(upstream) },
      body: JSON.stringify(body),
    })
    if (reply.statusCode === 200) return reply
    throw wire.failureOf(reply.statusCode, headersOf(reply), await readText(reply))
  }

  return {
    json: async (upstream, call) => {
      try {
        const reply = await send(upstream, call)
        const body = parseObject(await readText(reply))
        return { json: wireOf(upstream).replyOf(call, body), headers: headersOf(reply) }
      } catch (error) {
        throw failureOfThrown(error, call.signal)
      }
    },
    events: async (upstream, call) => {
      try {
        const reply = await send(upstream, call)
        const data = wireOf(upstream).eventsOf(call, reply.body)
        const first = await data.next()
        return { events: withFirst(first, data), headers: headersOf(reply) }
      } catch (error) {
        throw failureOfThrown(error, call.signal)
      }
    },
    probe: (upstream, signal) => probe(dispatchers.of(upstream), upstream, wireOf(upstream), signal),
    close: () => dispatchers.close(),
  }
}

const headersOf = (reply: Dispatcher.ResponseData): ReadonlyMap<string, string> =>
  new Map(Object.entries(reply.headers).map(([name, value]) => [name, String(value)]))

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
