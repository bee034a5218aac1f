import { isIP } from 'node:net'
import { Agent, request, type Dispatcher } from 'undici'
import { linkedAbort } from '../abort.ts'
import { allowedAddresses, pinnedConnector, resolveByDns, resolveBySystem, type Resolve } from './connect.ts'
import { OutboundFailure } from './failure.ts'
import { outboundTarget, type OutboundRules } from './target.ts'

export interface OutboundOptions extends OutboundRules {
  /** How names are resolved; by DNS unless told, and where private addresses are allowed the system's way. */
  resolve?: Resolve
}

export interface FetchOptions {
  limitBytes: number
  /** From the call to the last byte. */
  timeoutMs: number
  signal: AbortSignal
  /** Media types that are taken, such as `image/png` or `image/*`; any unless told. */
  accept?: readonly string[]
}

export interface Fetched {
  bytes: Buffer
  /** Without parameters, in lower case; empty where there is none. */
  mediaType: string
}

export interface DispatcherTimeouts {
  replyTimeoutMs: number
  idleTimeoutMs: number
}

/** The one door to addresses that come from outside. */
export interface Outbound {
  /** What lies at the URL, whole. Redirects are not followed. Errors: OutboundFailure. */
  fetchBytes(url: string, options: FetchOptions): Promise<Fetched>
  /**
   * The URL, where its host is a public one now. Asked when an address is stored, for a helpful refusal: connections
   * are checked again. Errors: OutboundFailure `refused`.
   */
  check(url: string): Promise<URL>
  /** Connections for other clients, to allowed addresses alone. The caller closes it. */
  dispatcher(timeouts: DispatcherTimeouts): Dispatcher
  close(): Promise<void>
}

export function createOutbound(options: OutboundOptions): Outbound {
  const { allowPrivate, resolve = allowPrivate ? resolveBySystem : resolveByDns() } = options
  const connect = pinnedConnector(options, resolve)
  const agent = new Agent({ connect })
  return {
    fetchBytes: async (url, fetching) => fetchBytes(agent, outboundTarget(url, options), fetching),
    check: async text => {
      const url = outboundTarget(text, options)
      if (!allowPrivate && isIP(hostOf(url)) === 0) await allowedAddresses(hostOf(url), allowPrivate, resolve)
      return url
    },
    dispatcher: ({ replyTimeoutMs, idleTimeoutMs }) =>
      new Agent({ connect, headersTimeout: replyTimeoutMs, bodyTimeout: idleTimeoutMs, maxResponseSize: -1 }),
    close: () => agent.close(),
  }
}

const hostOf = (url: URL): string => url.hostname.replace(/^\[(.*)\]$/, '$1')

async function fetchBytes(agent: Agent, url: URL, options: FetchOptions): Promise<Fetched> {
  const within = linkedAbort(options.signal, options.timeoutMs)
  try {
    const reply = await request(url, {
      dispatcher: agent,
      signal: within.signal,
      // What is fetched here is fetched once: no connection is kept.
      reset: true,
      headers: { accept: options.accept?.join(', ') ?? '*/*' },
    })
    try {
      const mediaType = acceptedType(reply, options)
      return { bytes: await readBytes(reply, options.limitBytes), mediaType }
    } finally {
      reply.body.on('error', () => undefined).destroy()
    }
  } catch (error) {
    throw failureOf(error, options.signal, within.isLate)
  } finally {
    within.release()
  }
}

/** Errors: OutboundFailure for what is no whole, plain reply of a type that was asked for. */
function acceptedType({ statusCode, headers }: Dispatcher.ResponseData, { accept, limitBytes }: FetchOptions): string {
  if (statusCode !== 200) throw new OutboundFailure('status', `the host answered ${statusCode}`, { status: statusCode })
  const mediaType = (String(headers['content-type'] ?? '').split(';', 1)[0] ?? '').trim().toLowerCase()
  const isTaken = accept === undefined || accept.some(type => isOfType(mediaType, type))
  if (!isTaken || headers['content-encoding'] !== undefined) {
    throw new OutboundFailure('type', 'the reply is of another type than was asked for')
  }
  if (Number(headers['content-length'] ?? 0) > limitBytes) throw tooLarge(limitBytes)
  return mediaType
}

const isOfType = (mediaType: string, wanted: string): boolean =>
  wanted.endsWith('/*') ? mediaType.startsWith(wanted.slice(0, -1)) : mediaType === wanted

async function readBytes({ body }: Dispatcher.ResponseData, limitBytes: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let sizeBytes = 0
  for await (const part of body as AsyncIterable<Buffer>) {
    sizeBytes += part.length
    if (sizeBytes > limitBytes) throw tooLarge(limitBytes)
    parts.push(part)
  }
  return Buffer.concat(parts)
}

const tooLarge = (limitBytes: number): OutboundFailure =>
  new OutboundFailure('too_large', `the reply is larger than ${limitBytes} bytes`)

function failureOf(error: unknown, signal: AbortSignal, isLate: boolean): OutboundFailure {
  if (error instanceof OutboundFailure) return error
  if (signal.aborted) return new OutboundFailure('aborted', 'the call was aborted', { cause: error })
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (isLate || code === 'UND_ERR_CONNECT_TIMEOUT') {
    return new OutboundFailure('timeout', 'the host did not answer in time', { cause: error })
  }
  return new OutboundFailure('unavailable', 'the connection failed', { cause: error })
}
