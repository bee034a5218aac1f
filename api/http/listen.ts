import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { RequestListener } from './app.ts'
import { refuseBrokenRequest, refuseConnection, type Exchange, type RefusalOptions } from './broken-request.ts'
import { continueWhenRead } from './expect.ts'
import { hasUnreadBody } from './request/linger.ts'

/** Longest wait for a request's headers; bodies are bounded by idle time, since uploads may be slow. */
const HEADERS_TIMEOUT_MS = 30_000
const IDLE_TIMEOUT_MS = 120_000
const KEEP_ALIVE_TIMEOUT_MS = 65_000

/** Serves what the listener answers; whatever else comes over a connection is answered here, in the same form. */
export async function listen(
  answer: RequestListener,
  { host, port, log, headers }: RefusalOptions & { host: string; port: number },
): Promise<Server> {
  const refusalOptions = { log, headers }
  // A request without a Host is answered as all bad requests are, and not by Node.
  const server = createServer({ requireHostHeader: false })
  server.headersTimeout = HEADERS_TIMEOUT_MS
  server.requestTimeout = 0
  server.timeout = 0
  server.keepAliveTimeout = KEEP_ALIVE_TIMEOUT_MS
  const exchanges = new WeakMap<Duplex, Exchange>()
  const refused = new WeakSet<Duplex>()
  const refuse = (error: NodeJS.ErrnoException, socket: Duplex) => {
    // Every further byte is an error anew.
    if (refused.has(socket)) return
    refused.add(socket)
    refuseBrokenRequest(error, socket, exchanges.get(socket), refusalOptions)
  }
  const receive = (request: IncomingMessage, response: ServerResponse) => {
    exchanges.set(request.socket, { request, response })
    if (hasUnreadBody(request)) boundIdleTime(request, response, refuse)
    void answer(request, response)
  }
  server.on('request', receive)
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continueWhenRead(request, response)
    receive(request, response)
  })
  server.on('checkExpectation', receive)
  server.on('clientError', refuse)
  server.on('connect', (_: IncomingMessage, socket: Duplex) =>
    refuseConnection(socket, 405, 'This is no proxy: there is nothing to connect to.', refusalOptions),
  )
  server.listen(port, host)
  await once(server, 'listening')
  return server
}

/** A body that stops arriving ends its connection; a reply may be silent for long, since models think. */
function boundIdleTime(
  request: IncomingMessage,
  response: ServerResponse,
  refuse: (error: NodeJS.ErrnoException, socket: Duplex) => void,
): void {
  const { socket } = request
  socket.setTimeout(IDLE_TIMEOUT_MS)
  request.once('timeout', () => refuse(Object.assign(new Error('idle'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' }), socket))
  request.once('end', () => response.writableEnded || socket.setTimeout(0))
}
