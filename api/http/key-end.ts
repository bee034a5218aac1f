import type { ApiDeps } from './request/deps.ts'
import { endConnection } from './request/connection.ts'
import type { RequestContext } from './request/request-context.ts'
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
  return deps.keyWatch.watch(key.id, reason => {
    endConnection(socket, reason)
    response.once('finish', () => socket.destroySoon())
  })
}

const takesLong = (route: AnyRoute, request: AnyRequest): boolean => route.isLong || route.streams?.(request) === true
