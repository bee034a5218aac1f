import { DomainError } from '../../domain/errors.ts'
import type { ApiDeps } from '../deps.ts'
import { endConnection } from './connection.ts'
import type { RequestContext } from './request-context.ts'
import type { AnyRequest, AnyRoute } from './route.ts'

/**
 * What may take long (a stream, a download, an upload) ends when its key does: its signal aborts, and its connection is
 * closed when the client has been told. Gives what ends the watch.
 */
export function watchKey(
  route: AnyRoute,
  deps: Pick<ApiDeps, 'keyWatch'>,
  { key, request: { socket }, response }: RequestContext,
  request: AnyRequest,
): (() => void) | undefined {
  if (key === undefined || !takesLong(route, request)) return undefined
  return deps.keyWatch.enter(key.id, reason => {
    endConnection(socket, reason)
    response.once('finish', () => socket.destroySoon())
  })
}

const takesLong = (route: AnyRoute, request: AnyRequest): boolean => route.isLong || route.streams?.(request) === true

/** Why we ended the connection ourselves, which its client is told; undefined where it is open or the client left. */
export const keyEndOf = ({ reason }: AbortSignal): DomainError | undefined =>
  reason instanceof DomainError ? reason : undefined
