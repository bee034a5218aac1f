import type { AnyRoute, AnyRequest } from './route.ts'
import type { ApiDeps } from './request/deps.ts'
import type { AuthenticatedKey } from '../../domain/tenancy/keys/keys.service.ts'

type Deps = Pick<ApiDeps, 'requestLimits' | 'streamLimits'>

/** Takes a slot of the key's streams, where the request asks for one that is counted; gives its release. Errors: 429. */
export function acquireStream(
  route: AnyRoute,
  deps: Deps,
  key: AuthenticatedKey | undefined,
  request: AnyRequest,
): Promise<() => void> | undefined {
  if (key === undefined || key.concurrent_streams === null || route.streams?.(request) !== true) return undefined
  return takeSlot(deps, key.id, key.concurrent_streams, request)
}

async function takeSlot(deps: Deps, keyId: string, slots: number, request: AnyRequest): Promise<() => void> {
  const giveBack = await deps.streamLimits.acquire(keyId, slots)
  const releaseStream = () => {
    request.signal.removeEventListener('abort', releaseStream)
    giveBack()
  }
  // The call may go on without its client; its stream does not.
  request.signal.addEventListener('abort', releaseStream)
  return releaseStream
}
