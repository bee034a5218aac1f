import { STATUS_CODES, type IncomingMessage, type ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { DomainError } from '../../domain/core/errors.ts'
import { newRequestId } from '../../domain/core/ids.ts'
import type { Log } from '../../infra/log.ts'
import { errorReply } from './errors/ipop.ts'
import { linger } from './request/linger.ts'

const FAILURES: Record<string, [number, string]> = {
  HPE_HEADER_OVERFLOW: [431, 'The address and headers of the request are too long.'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The chunk extensions of the body are too long.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
}

/** The newest request on a connection. */
export interface Exchange {
  request: IncomingMessage
  response: ServerResponse
}

export interface RefusalOptions {
  log: Pick<Log, 'info'>
  /** What every reply says. */
  headers: Record<string, string>
}

/**
 * Answers what Node could not read as HTTP, which so never becomes a request, with the same error body as all else.
 * What it broke may be a request's body, or come behind requests whose replies are under way: their bytes stay whole.
 */
export function refuseBrokenRequest(
  error: NodeJS.ErrnoException,
  socket: Duplex,
  exchange: Exchange | undefined,
  refusalOptions: RefusalOptions,
): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [status, message] = FAILURES[error.code ?? ''] ?? [400, 'The request is not valid HTTP.']
  const refuse = () => refuseConnection(socket, status, message, refusalOptions)
  if (exchange === undefined || exchange.response.writableFinished) return refuse()
  const { request, response } = exchange
  if (request.complete) return void response.once('close', refuse)
  // Its body is what is broken: it is answered by this when its turn comes, unless it has been: that reply goes on, and
  // ends the connection.
  if (response.headersSent) return
  if (response.socket === null) response.once('socket', refuse)
  else refuse()
}

/** Ends a connection that no request can be answered on, with the error body. */
export function refuseConnection(
  socket: Duplex,
  status: number,
  message: string,
  { log, headers }: RefusalOptions,
): void {
  if (!socket.writable) return void socket.destroy()
  const requestId = newRequestId()
  const reply = errorReply(new DomainError(status, 'bad_request', message, { type: 'invalid_request' }), requestId)
  const body = JSON.stringify(reply.body)
  const lines = {
    'content-type': 'application/json; charset=utf-8',
    'content-length': String(Buffer.byteLength(body)),
    'x-request-id': requestId,
    connection: 'close',
    ...headers,
  }
  const head = Object.entries(lines).map(([name, value]) => `${name}: ${value}\r\n`)
  socket.end(`HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${head.join('')}\r\n${body}`)
  log.info({ requestId, status }, 'what came is no request')
  if (socket instanceof Socket) linger(socket, () => socket.destroy())
  else socket.destroy()
}
