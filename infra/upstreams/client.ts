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

const JSON_HEADERS = { 'content-type': 'application/json' }
const REPLY_LIMIT_BYTES = 64 * 1024 * 1024

const WIRES = { openai: openAiWire, anthropic: anthropicWire }
const wireOf = ({ wire = 'openai' }: UpstreamSettings): Wire => WIRES[wire]

/** Speaks each upstream's wire format; callers see OpenAI's alone. */
export function createUpstreamClient(timeouts: UpstreamTimeouts, outbound: Outbound): UpstreamClient & UpstreamProbe {
  const dispatchers = createDispatchers(timeouts, outbound)

  const exchange = async (
    upstream: UpstreamSettings,
    path: string,
    signal: AbortSignal,
    body?: object,
  ): Promise<Dispatcher.ResponseData> => {
    const wire = wireOf(upstream)
    const reply = await request(upstream.baseUrl + path, {
      method: body === undefined ? 'GET' : 'POST',
      dispatcher: dispatchers.of(upstream),
      signal,
      headers: { ...(body === undefined ? {} : JSON_HEADERS), ...wire.keyHeaders(upstream) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    if (isSuccess(reply.statusCode)) return reply
    throw wire.failureOf(reply.statusCode, headersOf(reply), await readText(reply))
  }
  const send = (upstream: UpstreamSettings, call: UpstreamCall): Promise<Dispatcher.ResponseData> => {
    const { path, body } = wireOf(upstream).requestOf(call)
    return exchange(upstream, path, call.signal, body)
  }

  return {
    get: (upstream, { path, signal }) =>
      orFailure(signal, async () => parseObject(await readText(await exchange(upstream, path, signal)))),
    download: (upstream, { path, signal }) =>
      orFailure(signal, async () => {
        const reply = await exchange(upstream, path, signal)
        return { body: reply.body, contentType: headersOf(reply).get('content-type') ?? '' }
      }),
    json: (upstream, call) =>
      orFailure(call.signal, async () => {
        const reply = await send(upstream, call)
        const body = parseObject(await readText(reply))
        return { json: wireOf(upstream).replyOf(call, body), headers: headersOf(reply) }
      }),
    events: (upstream, call) =>
      orFailure(call.signal, async () => {
        const reply = await send(upstream, call)
        const data = wireOf(upstream).eventsOf(call, reply.body)
        const first = await data.next()
        return { events: withFirst(first, data), headers: headersOf(reply) }
      }),
    probe: (upstream, signal) => probe(dispatchers.of(upstream), upstream, wireOf(upstream), signal),
    close: () => dispatchers.close(),
  }
}

/** Whatever the work throws is a failure of the upstream. */
async function orFailure<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    throw failureOfThrown(error, signal)
  }
}

/** 202 is a job's: it was taken, and is not done. */
const isSuccess = (status: number): boolean => status === 200 || status === 202

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
