import { badRequest, DomainError, notFound, serviceUnavailable } from '../../domain/errors.ts'
import type { ErrorBody } from '../../domain/errors.schema.ts'
import { ObjectStoreError } from '../../infra/objects/store.ts'
import { isTransientDatabaseError, SqlState, sqlStateOf } from '../../infra/postgres/sqlstate.ts'
import { RangeNotSatisfiable } from './range.ts'
import { MethodNotAllowed } from './refusals.ts'

export interface ErrorReply {
  status: number
  headers: Record<string, string>
  body: ErrorBody
}

const MASKED = 'Something failed on our side. Try again; if it persists, report the request id.'
/** Codes of texts that the database cannot hold (22021, 22P05, 22P02): the request's fault, wherever it slipped through. */
const UNSTORABLE_TEXT = new Set(['22021', '22P05', '22P02'])

/** The one place where failures become replies. What is not known is a 500 with its text masked. */
export function errorReply(error: unknown, requestId: string): ErrorReply {
  const failure = knownFailure(error)
  const body: ErrorBody = {
    error: sentence(failure),
    message: failure.message,
    code: failure.code,
    ...(failure.type === undefined ? {} : { error_type: failure.type }),
    ...(failure.param === undefined ? {} : { param: failure.param }),
    ...(failure.retryAfterSeconds === undefined ? {} : { retry_after_seconds: failure.retryAfterSeconds }),
    request_id: requestId,
    retryable: failure.retryable,
  }
  return { status: failure.status, headers: headersOf(failure), body }
}

/** Whether the error is a fault of ours that has to be logged whole. */
export const isFault = (error: unknown): boolean => knownFailure(error).status === 500

function storeFailure(error: ObjectStoreError): DomainError {
  if (error.code === 'ObjectNotFound') return notFound('file')
  if (error.code !== 'Unavailable')
    return new DomainError(500, 'service_unavailable', MASKED, { type: 'internal_error', cause: error })
  return serviceUnavailable('The object store is not available right now.', 2, error)
}

/** What recursion over a body of thousands of levels ends in. */
const isStackOverflow = (error: unknown): boolean => error instanceof RangeError && error.message.includes('call stack')

function knownFailure(error: unknown): DomainError {
  if (error instanceof DomainError) return error
  const state = sqlStateOf(error)
  if (state === SqlState.queryCanceled) return serviceUnavailable('The database took too long.', 2, error)
  if (isTransientDatabaseError(error)) return serviceUnavailable('The database is not available right now.', 1, error)
  if (error instanceof ObjectStoreError) return storeFailure(error)
  if (isStackOverflow(error)) return badRequest('The body is nested too deeply.')
  if (state !== undefined && UNSTORABLE_TEXT.has(state)) {
    return new DomainError(400, 'bad_request', 'The request holds a character that cannot be stored.', {
      type: 'invalid_request',
    })
  }
  return new DomainError(500, 'service_unavailable', MASKED, { type: 'internal_error', cause: error })
}

const sentence = (failure: DomainError): string =>
  failure.param === undefined
    ? `${failure.code}: ${failure.message}`
    : `${failure.code}: ${failure.message} (param: ${failure.param})`

function headersOf(failure: DomainError): Record<string, string> {
  return {
    ...(failure.retryAfterSeconds === undefined ? {} : { 'retry-after': String(failure.retryAfterSeconds) }),
    ...(failure.status === 409 && !failure.retryable ? { 'x-should-retry': 'false' } : {}),
    ...(failure instanceof RangeNotSatisfiable ? { 'content-range': `bytes */${failure.sizeBytes}` } : {}),
    ...(failure instanceof MethodNotAllowed ? { allow: failure.allowed.join(', ') } : {}),
    ...(failure.status === 401 ? { 'www-authenticate': 'Bearer' } : {}),
  }
}
