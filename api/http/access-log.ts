import type { Context } from 'koa'
import type { ApiDeps } from '../deps.ts'
import { keyEndOf } from './key-end.ts'
import type { Passage } from './passage.ts'

const CLIENT_CLOSED_REQUEST = 499

/** One line a request: ids and figures, never a key, prompt or completion. */
export function writeAccessLine(deps: ApiDeps, ctx: Context, passage: Passage, path: string, gone: AbortSignal): void {
  const ms = Math.round((performance.now() - passage.startedAtMs) * 10) / 10
  const isLeft = gone.aborted && keyEndOf(gone) === undefined
  const status = isLeft ? CLIENT_CLOSED_REQUEST : ctx.res.statusCode
  deps.metrics.requests.observe({ method: ctx.method, route: path, status: String(status) }, ms / 1000)
  if (!deps.log.isLevelEnabled('info')) return
  deps.log.info(
    {
      requestId: passage.requestId,
      keyId: passage.key?.id,
      userId: passage.key?.user_id,
      method: ctx.method,
      route: path,
      status,
      ms,
      ...passage.access,
    },
    'request',
  )
}
