import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'

const MOST_MS = 30_000
const MOST_BYTES = 128 * 1024 * 1024
/** Who sends nothing for so long has read the reply, or never will. */
const IDLE_MS = 2_000
const LOOK_MS = 100
/** Connections of a process that linger at once; who comes then is cut off. */
const MOST_AT_ONCE = 256

let lingering = 0

/**
 * Lets a client that has been refused send on, unread, within bounds of bytes, time and silence. Closing at once would
 * reset its connection, and the reply would be lost on who has not read it yet (RFC 9112 section 9.6). `over` is
 * called once, when the bounds are reached or the connection is gone; calling what is returned ends it sooner.
 */
export function linger(socket: Socket, over: () => void): () => void {
  const startedAtMs = performance.now()
  const startBytes = socket.bytesRead
  let last = { bytes: startBytes, atMs: startedAtMs }
  const look = () => {
    const now = performance.now()
    if (socket.bytesRead !== last.bytes) last = { bytes: socket.bytesRead, atMs: now }
    const isOver = now - startedAtMs > MOST_MS || now - last.atMs > IDLE_MS || last.bytes - startBytes > MOST_BYTES
    if (isOver) end()
  }
  const timer = setInterval(look, LOOK_MS)
  let ended = false
  const end = () => {
    if (ended) return
    ended = true
    lingering -= 1
    clearInterval(timer)
    socket.off('close', end)
    over()
  }
  lingering += 1
  socket.once('close', end)
  if (lingering > MOST_AT_ONCE) end()
  return end
}

/** Whether more of the request is to come. */
export const hasUnreadBody = ({ complete, headers }: IncomingMessage): boolean =>
  !complete && (headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0)
