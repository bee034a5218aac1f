import { once } from 'node:events'
import { connect } from 'node:net'

const AT_ONCE = 50
const FIRST_EVENT_WITHIN_MS = 60_000

/** A request as it goes over the wire. */
export function requestText(method, address, key, body) {
  const { host, pathname } = new URL(address)
  const head = [`${method} ${pathname} HTTP/1.1`, `host: ${host}`, `x-api-key: ${key}`, 'accept: text/event-stream']
  if (body === undefined) return `${head.join('\r\n')}\r\n\r\n`
  const more = ['content-type: application/json', `content-length: ${Buffer.byteLength(body)}`]
  return `${[...head, ...more].join('\r\n')}\r\n\r\n${body}`
}

/**
 * Opens streams on sockets of their own, each until its first event has come, and leaves them open. What comes later is
 * thrown away: the sockets cost this process next to nothing.
 */
export async function openStreams(address, text, count) {
  const sockets = []
  try {
    while (sockets.length < count) {
      const wave = Math.min(AT_ONCE, count - sockets.length)
      sockets.push(...(await Promise.all(Array.from({ length: wave }, () => openStream(address, text)))))
    }
  } catch (error) {
    sockets.forEach(socket => socket.destroy())
    throw error
  }
  return {
    open: () => sockets.filter(socket => !socket.destroyed && !socket.readableEnded).length,
    close: () => sockets.forEach(socket => socket.destroy()),
  }
}

async function openStream(address, text) {
  const { hostname, port } = new URL(address)
  const socket = connect(Number(port), hostname)
  socket.write(text)
  const signal = AbortSignal.timeout(FIRST_EVENT_WITHIN_MS)
  let seen = ''
  while (!/\ndata: /.test(seen)) {
    const [part] = await once(socket, 'data', { signal })
    seen += String(part)
    if (seen.startsWith('HTTP') && !seen.startsWith('HTTP/1.1 200')) throw new Error(seen.slice(0, 500))
  }
  socket.on('data', () => undefined)
  socket.on('error', () => undefined)
  return socket
}
