import type { IncomingMessage, ServerResponse } from 'node:http'
import type { AuthenticatedKey } from '../../../domain/tenancy/keys/keys.service.ts'

/** What the access line says of a request besides what the pipeline knows itself. */
export interface AccessFields {
  model?: string
  tokensIn?: number
  tokensOut?: number
  costUsd?: number
}

/** A request on its way through the pipeline, and what has been learnt of it. */
export interface RequestContext {
  readonly requestId: string
  readonly startedAtMs: number
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly clientAddress: () => string
  /** The key that the request came in by, where it is one. */
  key?: AuthenticatedKey
  /** What every reply to the request says, whatever becomes of it. */
  readonly replyHeaders: Record<string, string>
  readonly accessFields: AccessFields
  /** The `id` of a JSON-RPC request, once its body was read. */
  rpcId?: unknown
}
