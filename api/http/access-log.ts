import type { ApiDeps } from './request/deps.ts'
import { keyEndOf } from './request/connection.ts'
import type { RequestContext } from './request/request-context.ts'

const CLIENT_CLOSED_REQUEST = 499

/** One line a request: ids and figures, never a key, prompt or completion. */
export function writeAccessLine(deps: ApiDeps, context: RequestContext, path: string, signal: AbortSignal): void {
  const { request, response, key } = context
  const method = request.method ?? ''
  const ms = Math.round((performance.now() - context.startedAtMs) * 10) / 10
  const isLeft = signal.aborted && keyEndOf(signal) === undefined
  const status = isLeft ? CLIENT_CLOSED_REQUEST : response.statusCode
  deps.metrics.requests.observe({ method, route: path, status: String(status) }, ms / 1000)
  if (!deps.log.isLevelEnabled('info')) return
  deps.log.info(
    {
      requestId: context.requestId,
      keyId: key?.id,
      userId: key?.user_id,
      method,
      route: path,
      status,
      ms,
      ...context.accessFields,
    },
    'request',
  )
}
