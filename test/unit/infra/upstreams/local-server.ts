import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { UpstreamSettings } from '../../../../infra/upstreams/upstream.ts'

export interface LocalServer {
  upstream: UpstreamSettings
  /** What the next request is answered with. */
  answer(handler: (response: ServerResponse, request: IncomingMessage, body: string) => void): void
  close(): Promise<void>
}

/** An HTTP server whose answers a test writes. */
export async function startLocalServer(): Promise<LocalServer> {
  let handler: Parameters<LocalServer['answer']>[0] = response => void response.writeHead(500).end()
  const server = createServer((request, response) => {
    const parts: Buffer[] = []
    request.on('data', (part: Buffer) => parts.push(part))
    request.on('end', () => handler(response, request, Buffer.concat(parts).toString()))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    upstream: { id: 'local', baseUrl: `http://127.0.0.1:${port}/v1`, apiKey: 'sk-upstream', external: false },
    answer: next => void (handler = next),
    close: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
