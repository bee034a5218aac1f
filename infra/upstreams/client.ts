import type { Dispatcher } from 'undici'
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
    const { origin, basePath } = addressOf(upstream)
    const reply = await dispatchers.of(upstream).request({
      origin,
      path: basePath + path,
      method: body === undefined ? 'GET' : 'POST',
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

function readText({ body }: Dispatcher.ResponseData): Promise<string> {
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let sizeBytes = 0
    body.on('data', (part: Buffer) => {
      sizeBytes += part.length
      if (sizeBytes > REPLY_LIMIT_BYTES) body.destroy(new UpstreamFailure('unavailable', 'the reply is too large'))
      else parts.push(part)
    })
    body.once('end', () => resolve(Buffer.concat(parts).toString('utf8')))
    body.on('error', reject)
  })
}

const addresses = new WeakMap<UpstreamSettings, { origin: string; basePath: string }>()

/** Taken apart once: the settings of an upstream live as long as the catalog, or the credential they are of. */
function addressOf(upstream: UpstreamSettings): { origin: string; basePath: string } {
  const known = addresses.get(upstream)
  if (known !== undefined) return known
  const { origin, pathname } = new URL(upstream.baseUrl)
  const address = { origin, basePath: pathname.replace(/\/$/, '') }
  addresses.set(upstream, address)
  return address
}
