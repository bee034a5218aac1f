import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'

/** Bodies of a 200, or of its first event, that are no reply; undefined: the connection is cut. */
const BODIES = {
  'an-error': JSON.stringify({ error: { message: 'words of the upstream', code: 500 } }),
  'finish-reason-error': JSON.stringify({
    choices: [{ index: 0, message: {}, delta: {}, finish_reason: 'error' }],
  }),
  'half-a-json': '{"choices": [',
  nothing: undefined,
} as const

export type Breakage = keyof typeof BODIES | 'no-connection'
export const BREAKAGES: Breakage[] = ['no-connection', 'an-error', 'finish-reason-error', 'half-a-json', 'nothing']

/** Nothing listens on the discard port (RFC 863). */
const DEAD_URL = 'http://127.0.0.1:9/v1'

/** Upstreams that fail before the first byte in ways a status does not tell: their addresses by what they answer. */
export async function brokenUpstreams(): Promise<Record<Breakage, string>> {
  const server = createServer((request, response) => {
    void text(request).then(body => {
      const reply = BODIES[(request.url?.split('/')[1] ?? '') as keyof typeof BODIES]
      if (reply === undefined) return request.socket.destroy()
      return response.end(body.includes('"stream":true') ? `data: ${reply}\n\n` : reply)
    })
  })
  server.unref()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return Object.fromEntries(
    BREAKAGES.map(kind => [kind, kind === 'no-connection' ? DEAD_URL : `${base}/${kind}`]),
  ) as Record<Breakage, string>
}
