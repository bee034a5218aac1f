// oxlint-disable-next-line no-restricted-imports -- the operator names the S3 endpoint: nobody from outside does
import { request as httpRequest, type ClientRequest, type IncomingMessage, type RequestOptions } from 'node:http'
// oxlint-disable-next-line no-restricted-imports -- as above
import { request as httpsRequest } from 'node:https'
import type { Readable } from 'node:stream'
import { setTimeout as delay } from 'node:timers/promises'
import { Client } from 'minio'
import { isTransient } from './s3-errors.ts'

export interface S3Connection {
  /** `https://host[:port]`, without a path. */
  endpoint: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  /** How long the server may send and take nothing. */
  idleTimeoutMs: number
}

interface CallOptions {
  /** Aborting ends the request, and the body that is being read. */
  signal?: AbortSignal | undefined
  /** Signed and sent with every request. */
  headers?: Record<string, string>
}

type Request = Parameters<Client['makeRequestStreamAsync']>[0]
type OnResponse = (response: IncomingMessage) => void

const RETRIES = 2
const RETRY_DELAY_MS = 200

/**
 * minio's client with what it lacks: idle timeouts, abort signals, headers of one's own on every request, and retries
 * that neither write to the console nor leave the failed response unread (which keeps its connection for ever).
 * Made anew for a call that has options of its own: it holds no connections, the agent of Node does.
 */
export class S3Client extends Client {
  readonly #headers: Record<string, string>

  constructor(connection: S3Connection, { signal, headers = {} }: CallOptions = {}) {
    const { protocol, hostname, port } = new URL(connection.endpoint)
    const send = protocol === 'https:' ? httpsRequest : httpRequest
    const transport = { request: watched(send, connection.idleTimeoutMs, signal) as typeof httpRequest }
    super({
      endPoint: hostname,
      ...(port === '' ? {} : { port: Number(port) }),
      useSSL: protocol === 'https:',
      region: connection.region,
      accessKey: connection.accessKeyId,
      secretKey: connection.secretAccessKey,
      retryOptions: { disableRetry: true },
      transport,
    })
    this.#headers = headers
  }

  /**
   * Every request goes through here. What can be sent again without a second effect is: not POST, which begins or
   * completes an upload, not conditional writes, which the first attempt may have won, and not streams.
   */
  override async makeRequestStreamAsync(
    request: Request,
    body: Readable | Buffer | string,
    sha256: string,
    statusCodes: number[],
    region: string,
  ): Promise<IncomingMessage> {
    const headers = { ...request.headers, ...this.#headers }
    const repeatable = request.method !== 'POST' && (typeof body === 'string' || Buffer.isBuffer(body))
    const attempts = repeatable && !('if-match' in headers || 'if-none-match' in headers) ? 1 + RETRIES : 1
    for (let attempt = 1; ; attempt++) {
      try {
        return await super.makeRequestStreamAsync({ ...request, headers }, body, sha256, statusCodes, region)
      } catch (error) {
        if (attempt === attempts || !isTransient(error)) throw error
      }
      await delay(RETRY_DELAY_MS * attempt * (0.5 + Math.random()))
    }
  }
}

/** The timeout covers connecting, too. A connection is not idle while bytes lie there that nobody has read yet. */
function watched(send: typeof httpRequest, idleTimeoutMs: number, signal: AbortSignal | undefined) {
  return (options: RequestOptions, onResponse: OnResponse): ClientRequest => {
    let response: IncomingMessage | undefined
    const request = send({ ...options, timeout: idleTimeoutMs, ...(signal ? { signal } : {}) }, received => {
      response = received
      if (isRetryable(received.statusCode)) received.resume()
      onResponse(received)
    })
    request.on('timeout', () => {
      if (response && response.readableLength > 0) request.socket?.setTimeout(idleTimeoutMs)
      else (response ?? request).destroy(noAnswer(idleTimeoutMs))
    })
    return request
  }
}

/** The replies that minio drops without reading them. */
function isRetryable(statusCode = 0): boolean {
  return statusCode >= 500 || [408, 429, 499].includes(statusCode)
}

function noAnswer(idleTimeoutMs: number): Error {
  return Object.assign(new Error(`the object store was silent for ${idleTimeoutMs} ms`), { code: 'ETIMEDOUT' })
}
