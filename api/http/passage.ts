import type { AuthenticatedKey } from '../../domain/tenancy/keys.service.ts'
import type { AccessFields } from './route.ts'

/** What is known of a request while it passes through the pipeline. */
export interface Passage {
  requestId: string
  startedAtMs: number
  clientAddress: () => string
  key?: AuthenticatedKey
  /** What every reply to the request says, whatever becomes of it. */
  headers: Record<string, string>
  access: AccessFields
}
