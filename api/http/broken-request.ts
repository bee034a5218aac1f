import { STATUS_CODES } from 'node:http'
import type { Duplex } from 'node:stream'
import { DomainError } from '../../domain/errors.ts'
import { newRequestId } from '../../domain/ids.ts'
import { errorReply } from './errors.ts'

const FAILURES: Record<string, [number, string]> = {
  HPE_HEADER_OVERFLOW: [431, 'The address and headers of the request are too long.'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request did not arrive in time.'],
}

/** Answers what Node could not read as HTTP, which so never becomes a request, with the same error body as all else. */
export function refuseBrokenRequest(error: NodeJS.ErrnoException, socket: Duplex): void {
  if (error.code === 'ECONNRESET' || !socket.writable) return void socket.destroy()
  const [status, message] = FAILURES[error.code ?? ''] ?? [400, 'The request is not valid HTTP.']
  const requestId = newRequestId()
  const reply = errorReply(new DomainError(status, 'bad_request', message, { type: 'invalid_request' }), requestId)
  const body = JSON.stringify(reply.body)
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'content-type: application/json; charset=utf-8',
    `content-length: ${Buffer.byteLength(body)}`,
    `x-request-id: ${requestId}`,
    'connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}
