import type { ApiDeps } from '../request/deps.ts'
import type { RequestContext } from '../request/request-context.ts'
import type { Principal } from './principal.ts'

/** A way in: a file each. */
export interface Way<P extends Principal = Principal> {
  /** OpenAPI's schemes, by name: one of them is enough. Empty where nothing needs to be shown. */
  schemes: Readonly<Record<string, object>>
  /** What a request without it is told to send, as the end of a sentence. */
  needs: string
  /** Undefined where the request shows nothing of this kind. Errors: 401 where what it shows is wrong; 429. */
  enter(deps: ApiDeps, context: RequestContext, operation: string): Promise<P> | P | undefined
}
