import type { ErrorBody } from '../../../domain/core/errors.schema.ts'
import { classify, errorBody, errorHeaders } from './classify.ts'

export interface ErrorReply {
  status: number
  headers: Record<string, string>
  body: ErrorBody
}

/** The reply of a failure in the API's own form. */
export function errorReply(error: unknown, requestId: string): ErrorReply {
  const failure = classify(error)
  return { status: failure.status, headers: errorHeaders(failure), body: errorBody(failure, requestId) }
}
