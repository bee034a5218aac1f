import type { Socket } from 'node:net'

const signals = new WeakMap<Socket, AbortSignal>()

/** Aborts when the connection closes. It is that of all requests on it: one a request is a fortieth of a chat's work. */
export function connectionSignal(socket: Socket): AbortSignal {
  const known = signals.get(socket)
  if (known !== undefined) return known
  const controller = new AbortController()
  socket.once('close', () => controller.abort(new Error('the client went away')))
  if (socket.destroyed) controller.abort(new Error('the client went away'))
  signals.set(socket, controller.signal)
  return controller.signal
}
