import { Readable } from 'node:stream'
import type { Dispatcher } from 'undici'
import type { Outbound } from '../../outbound/outbound.ts'
import { anthropicWire } from '../anthropic/wire.ts'
import { createDispatchers, type UpstreamTimeouts } from './dispatchers.ts'
import { bytesOf, sendRequest, type IncomingReply, type ReplyBody } from '../exchange.ts'
import { failureOfThrown } from '../failures.ts'
import { withFirst } from '../events.ts'
import { parseObject, type Fields } from '../json.ts'
import { objectOf, written, type LargeJson } from '../large.ts'
import { isSuspect, storable } from '../text.ts'
import { openAiWire } from '../openai/wire.ts'
import { probe } from './probe.ts'
import type { UpstreamCall, UpstreamClient, UpstreamGet, UpstreamProbe, UpstreamSettings } from '../upstream.ts'
import type { Wire } from '../wire.ts'

const WIRES = { openai: openAiWire, anthropic: anthropicWire }
const wireOf = ({ wire = 'openai' }: UpstreamSettings): Wire => WIRES[wire]

/** Speaks each upstream's wire format; callers see OpenAI's alone. */
export function createUpstreamClient(
  timeouts: UpstreamTimeouts,
  outbound: Outbound,
  large: LargeJson,
): UpstreamClient & UpstreamProbe {
  const dispatchers = createDispatchers(timeouts, outbound)

  const ask = (
    upstream: UpstreamSettings,
    path: string,
    signal: AbortSignal,
    body?: string | Uint8Array,
    idempotencyKey?: string,
  ): Promise<IncomingReply> =>
    sendRequest(dispatchers.of(upstream), requestOf(upstream, path, body, idempotencyKey), signal)
  const send = (upstream: UpstreamSettings, call: UpstreamCall): Promise<IncomingReply> => {
    const { path, body } = wireOf(upstream).requestOf(call)
    const key = upstream.idempotencyKeys === true ? call.idempotencyKey : undefined
    const text = written(large, call, body)
    return typeof text === 'string'
      ? ask(upstream, path, call.signal, text, key)
      : text.then(bytes => ask(upstream, path, call.signal, bytes, key))
  }
  const json = async (upstream: UpstreamSettings, call: UpstreamCall) => {
    const { headers, body } = await successful(upstream, await send(upstream, call))
    const reply = await body.whole()
    const object = typeof reply === 'string' ? storableObject(reply) : await objectOf(large, call, reply)
    return { json: wireOf(upstream).replyOf(call, object), headers }
  }
  const events = async (upstream: UpstreamSettings, call: UpstreamCall) => {
    const { headers, body } = await successful(upstream, await send(upstream, call))
    const data = wireOf(upstream).eventsOf(call, body)
    const first = await data.next()
    return { events: withFirst(first, data), headers }
  }
  const get = async (upstream: UpstreamSettings, { path, signal }: UpstreamGet) => {
    const { body } = await successful(upstream, await ask(upstream, path, signal))
    const reply = await body.whole()
    return typeof reply === 'string' ? storableObject(reply) : objectOf(large, { signal }, reply)
  }
  const download = async (upstream: UpstreamSettings, { path, signal }: UpstreamGet) => {
    const { headers, body } = await successful(upstream, await ask(upstream, path, signal))
    return { body: readableOf(body), contentType: headers.get('content-type') ?? '' }
  }

  return {
    json: (upstream, call) => orFailure(call.signal, json(upstream, call)),
    events: (upstream, call) => orFailure(call.signal, events(upstream, call)),
    get: (upstream, what) => orFailure(what.signal, get(upstream, what)),
    download: (upstream, what) => orFailure(what.signal, download(upstream, what)),
    probe: (upstream, signal) => probe(dispatchers.of(upstream), upstream, wireOf(upstream), signal),
    close: () => dispatchers.close(),
  }
}

/** The object that a reply's text is, its texts as they can be stored. Errors: UpstreamFailure. */
function storableObject(text: string): Fields {
  const body = parseObject(text)
  return isSuspect(text) ? (storable(body) as Fields) : body
}

function readableOf(body: ReplyBody): Readable {
  const readable = Readable.from(bytesOf(body), { objectMode: false })
  // A generator that was never asked for anything does not see its own end.
  readable.once('close', () => body.destroy())
  return readable
}

/** Whatever the work rejects with is a failure of the upstream. */
const orFailure = <Result>(signal: AbortSignal, work: Promise<Result>): Promise<Result> =>
  work.catch((error: unknown) => {
    throw failureOfThrown(error, signal)
  })

function requestOf(
  upstream: UpstreamSettings,
  path: string,
  body: string | Uint8Array | undefined,
  idempotencyKey?: string,
): Dispatcher.DispatchOptions {
  const { origin, basePath, keyHeaders, postHeaders } = targetOf(upstream)
  if (body === undefined) return { origin, path: basePath + path, method: 'GET', headers: keyHeaders }
  return {
    origin,
    path: basePath + path,
    method: 'POST',
    headers: withKey(postHeaders, idempotencyKey),
    body,
  }
}

const withKey = (headers: Record<string, string>, key: string | undefined): Record<string, string> =>
  key === undefined ? headers : { ...headers, 'idempotency-key': key }

/** The reply, where it is one of success: 202 is a job's, which was taken and is not done. Errors: UpstreamFailure. */
function successful(upstream: UpstreamSettings, reply: IncomingReply): IncomingReply | Promise<never> {
  return reply.status === 200 || reply.status === 202 ? reply : refused(upstream, reply)
}

async function refused(upstream: UpstreamSettings, { status, headers, body }: IncomingReply): Promise<never> {
  const text = await body.whole()
  throw wireOf(upstream).failureOf(status, headers, typeof text === 'string' ? text : '')
}

interface Target {
  origin: string
  basePath: string
  keyHeaders: Record<string, string>
  postHeaders: Record<string, string>
}

const targets = new WeakMap<UpstreamSettings, Target>()

/** Made once: the settings of an upstream live as long as the catalog, or the credential they are of. */
function targetOf(upstream: UpstreamSettings): Target {
  const known = targets.get(upstream)
  if (known !== undefined) return known
  const { origin, pathname } = new URL(upstream.baseUrl)
  const keyHeaders = wireOf(upstream).keyHeaders(upstream)
  const target = {
    origin,
    basePath: pathname.replace(/\/$/, ''),
    keyHeaders,
    postHeaders: { 'content-type': 'application/json', ...keyHeaders },
  }
  targets.set(upstream, target)
  return target
}
