import type { DomainError } from '../../../domain/core/errors.ts'
import { errorBody } from './classify.ts'
import { MalformedJson } from './kinds.ts'

/** Codes of JSON-RPC 2.0 (section 5.1), and -32005 of Ethereum's and Solana's nodes for a limit. */
const INVALID_REQUEST = -32_600
const BY_STATUS: Readonly<Record<number, number>> = { 404: -32_601, 429: -32_005, 500: -32_603 }
const SERVER_ERROR = -32_000
const INVALID_PARAMS = -32_602
const PARSE_ERROR = -32_700

/**
 * An error of JSON-RPC 2.0, whose `data` is the API's own error body. `id` is the request's, null where it is not known.
 * The HTTP status stays the failure's, so that clients and proxies that know nothing of JSON-RPC wait or give up.
 */
export const rpcErrorText = (failure: DomainError, requestId: string, id: unknown): string =>
  JSON.stringify({
    jsonrpc: '2.0',
    error: { code: codeOf(failure), message: failure.message, data: errorBody(failure, requestId) },
    id: typeof id === 'string' || typeof id === 'number' ? id : null,
  })

function codeOf(failure: DomainError): number {
  const { status, param } = failure
  if (failure instanceof MalformedJson) return PARSE_ERROR
  if (status === 400) return param?.startsWith('params') === true ? INVALID_PARAMS : INVALID_REQUEST
  return BY_STATUS[status] ?? SERVER_ERROR
}
