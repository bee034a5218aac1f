import type { Context } from 'koa'
import { DomainError } from '../../domain/errors.ts'
import type { ApiDeps } from '../deps.ts'
import { endConnection } from './connection.ts'
import type { Passage } from './passage.ts'
import type { AnyRoute, Auth, RouteRequest } from './route.ts'

type Request = RouteRequest<undefined, undefined, undefined, Auth>

/**
 * What may take long (a stream, a download, an upload) ends when its key does: its signal aborts, and its connection is
 * closed when the client has been told. Gives what ends the watch.
 */
export function watchKey(
  route: AnyRoute,
  deps: Pick<ApiDeps, 'keyWatch'>,
  { req, res }: Context,
  { key }: Passage,
  request: Request,
): (() => void) | undefined {
  if (key === undefined || !takesLong(route, request)) return undefined
  const { socket } = req
  return deps.keyWatch.enter(key.id, reason => {
    endConnection(socket, reason)
    res.once('finish', () => socket.destroySoon())
  })
}

const takesLong = (route: AnyRoute, request: Request): boolean =>
  route.kind === 'binary' || route.upload !== undefined || route.streams?.(request) === true

/** Why we ended the connection ourselves, which its client is told; undefined where it is open or the client left. */
export const keyEndOf = ({ reason }: AbortSignal): DomainError | undefined =>
  reason instanceof DomainError ? reason : undefined
