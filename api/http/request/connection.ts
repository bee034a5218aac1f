import type { Socket } from 'node:net'
import { DomainError } from '../../../domain/core/errors.ts'

const controllers = new WeakMap<Socket, AbortController>()

/**
 * Aborts when the connection closes, or is to (endConnection). It is that of all requests on it: one a request is a
 * fortieth of a chat's work.
 */
export const connectionSignal = (socket: Socket): AbortSignal => controllerOf(socket).signal

/** Stops what is under way on the connection, whose signal then has this reason; the reply may be ended still. */
export const endConnection = (socket: Socket, reason: Error): void => controllerOf(socket).abort(reason)

function controllerOf(socket: Socket): AbortController {
  const known = controllers.get(socket)
  if (known !== undefined) return known
  const controller = new AbortController()
  socket.once('close', () => controller.abort(new Error('the client went away')))
  if (socket.destroyed) controller.abort(new Error('the client went away'))
  controllers.set(socket, controller)
  return controller
}

/** Why we ended the connection ourselves, which its client is told; undefined where it is open or the client left. */
export const keyEndOf = ({ reason }: AbortSignal): DomainError | undefined =>
  reason instanceof DomainError ? reason : undefined
