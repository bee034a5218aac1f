import { badRequest, DomainError, RangeNotSatisfiable, serviceUnavailable } from '../../../domain/core/errors.ts'
import type { ErrorBody } from '../../../domain/core/errors.schema.ts'
import { ObjectStoreError } from '../../../infra/objects/store.ts'
import { isTransientDatabaseError, SqlState, sqlStateOf } from '../../../infra/postgres/sqlstate.ts'
import { MethodNotAllowed } from './kinds.ts'

const MASKED = 'Something failed on our side. Try again; if it persists, report the request id.'
/** Codes of texts that the database cannot hold (22021, 22P05, 22P02): the request's fault, wherever it slipped through. */
const UNSTORABLE_TEXT = new Set(['22021', '22P05', '22P02'])

/** The one place where failures are told apart, for every dialect. What is not known is a 500 with its text masked. */
export function classify(error: unknown): DomainError {
  if (error instanceof DomainError) return error
  const state = sqlStateOf(error)
  if (state === SqlState.queryCanceled) return serviceUnavailable('The database took too long.', 2, error)
  if (isTransientDatabaseError(error)) return serviceUnavailable('The database is not available right now.', 1, error)
  // What else a store says is about an object that only the domain knows the meaning of: who asks it translates.
  if (error instanceof ObjectStoreError && error.code === 'Unavailable') {
    return serviceUnavailable('The object store is not available right now.', 2, error)
  }
  if (isStackOverflow(error)) return badRequest('The body is nested too deeply.')
  if (state !== undefined && UNSTORABLE_TEXT.has(state)) {
    return badRequest('The request holds a character that cannot be stored.')
  }
  return new DomainError(500, 'service_unavailable', MASKED, { type: 'internal_error', cause: error })
}

/** Whether the error is a fault of ours that has to be logged whole. */
export const isFault = (error: unknown): boolean => classify(error).status === 500

/** What recursion over a body of thousands of levels ends in. */
const isStackOverflow = (error: unknown): boolean => error instanceof RangeError && error.message.includes('call stack')

/** The closed error body. */
export const errorBody = (failure: DomainError, requestId: string): ErrorBody => ({
  error: sentence(failure),
  message: failure.message,
  code: failure.code,
  ...(failure.type === undefined ? {} : { error_type: failure.type }),
  ...(failure.param === undefined ? {} : { param: failure.param }),
  ...(failure.retryAfterSeconds === undefined ? {} : { retry_after_seconds: failure.retryAfterSeconds }),
  request_id: requestId,
  retryable: failure.retryable,
})

const sentence = (failure: DomainError): string =>
  failure.param === undefined
    ? `${failure.code}: ${failure.message}`
    : `${failure.code}: ${failure.message} (param: ${failure.param})`

/** What a failure says in headers, in every dialect. */
export function errorHeaders(failure: DomainError): Record<string, string> {
  return {
    ...(failure.retryAfterSeconds === undefined ? {} : { 'retry-after': String(failure.retryAfterSeconds) }),
    ...(failure.status === 409 && !failure.retryable ? { 'x-should-retry': 'false' } : {}),
    ...(failure instanceof RangeNotSatisfiable && failure.sizeBytes !== undefined
      ? { 'content-range': `bytes */${failure.sizeBytes}` }
      : {}),
    ...(failure instanceof MethodNotAllowed ? { allow: failure.allowed.join(', ') } : {}),
    ...(failure.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  }
}
