import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { deferred } from '../unit/fixtures.ts'

export interface ProviderRequest {
  method: string | undefined
  url: string | undefined
  headers: IncomingHttpHeaders
}

/** A model provider at a private address, answering each request with what the test says next. */
export interface FakeProvider {
  /** Ending in `/v1`. */
  url: string
  /** Answers the next request so; resolves with the request. */
  next(status: number, body: unknown, headers?: Record<string, string>): Promise<ProviderRequest>
  /** The same, but the answer is held back. */
  hold(status: number, body: unknown): { asked: Promise<ProviderRequest>; release: () => void }
  /** How many requests have come. */
  requests(): number
  close(): Promise<void>
}

type Answer = (request: IncomingMessage, response: ServerResponse) => void

export async function startProvider(): Promise<FakeProvider> {
  const answers: Answer[] = []
  let requests = 0
  const server = createServer((request, response) => {
    requests += 1
    const answer = answers.shift()
    if (answer === undefined) response.writeHead(500).end()
    else answer(request, response)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')

  const queue = (until: Promise<void>, status: number, body: unknown, headers: Record<string, string>) =>
    new Promise<ProviderRequest>(resolve => {
      answers.push((request, response) => {
        resolve({ method: request.method, url: request.url, headers: request.headers })
        const text = typeof body === 'string' ? body : JSON.stringify(body)
        void until.then(() => response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(text))
      })
    })
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    next: (status, body, headers = {}) => queue(Promise.resolve(), status, body, headers),
    hold: (status, body) => {
      const held = deferred<void>()
      return { asked: queue(held.promise, status, body, {}), release: () => held.resolve() }
    },
    requests: () => requests,
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
