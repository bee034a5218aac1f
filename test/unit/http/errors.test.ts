import { describe, expect, test } from '@jest/globals'
import { isFault } from '../../../api/http/errors/classify.ts'
import { errorReply } from '../../../api/http/errors/ipop.ts'
import { ErrorBody } from '../../../domain/core/errors.schema.ts'
import {
  badRequest,
  conflict,
  DomainError,
  notFound,
  paymentRequired,
  RangeNotSatisfiable,
  rateLimited,
  serviceUnavailable,
  unauthorized,
} from '../../../domain/core/errors.ts'
import { requireValid } from '../../../domain/core/validation.rules.ts'
import { ObjectStoreError } from '../../../infra/objects/store.ts'
import { DatabaseUnavailable } from '../../../infra/postgres/database.ts'

const SECRET = 'secret-of-the-inside'
const ofPostgres = (code: string) => Object.assign(new Error(SECRET), { code, detail: SECRET, query: SECRET })

interface Told {
  status: number
  code: string
  error_type?: string
  param?: string
  retryable: boolean
  headers?: Record<string, string>
}

describe('every kind of failure has the closed body', () => {
  test.each<[string, unknown, Told]>([
    [
      'a bad request',
      badRequest('`a` is wrong.', 'a'),
      { status: 400, code: 'bad_request', error_type: 'invalid_request', param: 'a', retryable: false },
    ],
    [
      'no key',
      unauthorized('No key.'),
      {
        status: 401,
        code: 'unauthorized',
        error_type: 'unauthorized',
        retryable: false,
        headers: { 'www-authenticate': 'Bearer' },
      },
    ],
    [
      'no credit',
      paymentRequired('No credit.'),
      { status: 402, code: 'payment_required', error_type: 'insufficient_credit', retryable: false },
    ],
    [
      'not allowed',
      new DomainError(403, 'model_not_allowed', 'No.'),
      { status: 403, code: 'model_not_allowed', retryable: false },
    ],
    [
      'not found',
      notFound('file', 'file_id'),
      { status: 404, code: 'bad_request', error_type: 'not_found', param: 'file_id', retryable: false },
    ],
    [
      'a conflict',
      conflict('It runs.'),
      {
        status: 409,
        code: 'bad_request',
        error_type: 'conflict',
        retryable: false,
        headers: { 'x-should-retry': 'false' },
      },
    ],
    [
      'a model that is away',
      new DomainError(409, 'model_unavailable', 'Away.'),
      { status: 409, code: 'model_unavailable', retryable: false, headers: { 'x-should-retry': 'false' } },
    ],
    [
      'no capacity',
      new DomainError(409, 'capacity_unavailable', 'Full.'),
      { status: 409, code: 'capacity_unavailable', retryable: true },
    ],
    [
      'a range outside',
      new RangeNotSatisfiable(10),
      {
        status: 416,
        code: 'bad_request',
        error_type: 'range_not_satisfiable',
        param: 'Range',
        retryable: false,
        headers: { 'content-range': 'bytes */10' },
      },
    ],
    [
      'too many requests',
      rateLimited('Slow down.', 7),
      {
        status: 429,
        code: 'rate_limit_exceeded',
        error_type: 'rate_limit',
        retryable: true,
        headers: { 'retry-after': '7' },
      },
    ],
    [
      'a service that is away',
      serviceUnavailable('Away.', 5),
      {
        status: 503,
        code: 'service_unavailable',
        error_type: 'service_unavailable',
        retryable: true,
        headers: { 'retry-after': '5' },
      },
    ],
    [
      'no connection to the database',
      new DatabaseUnavailable(SECRET),
      { status: 503, code: 'service_unavailable', retryable: true, headers: { 'retry-after': '1' } },
    ],
    [
      'a database that shuts down',
      ofPostgres('57P01'),
      { status: 503, code: 'service_unavailable', retryable: true, headers: { 'retry-after': '1' } },
    ],
    [
      'a refused connection',
      new DatabaseUnavailable(SECRET),
      { status: 503, code: 'service_unavailable', retryable: true, headers: { 'retry-after': '1' } },
    ],
    [
      'a statement that took too long',
      ofPostgres('57014'),
      { status: 503, code: 'service_unavailable', retryable: true, headers: { 'retry-after': '2' } },
    ],
    [
      'an object store that is away',
      new ObjectStoreError('Unavailable', SECRET),
      { status: 503, code: 'service_unavailable', retryable: true, headers: { 'retry-after': '2' } },
    ],
    [
      'a failure of the object store that nobody translated',
      new ObjectStoreError('ObjectNotFound', SECRET),
      { status: 500, code: 'service_unavailable', error_type: 'internal_error', retryable: true },
    ],
    [
      'a text that cannot be stored',
      ofPostgres('22021'),
      { status: 400, code: 'bad_request', error_type: 'invalid_request', retryable: false },
    ],
    [
      'a broken constraint',
      ofPostgres('23505'),
      { status: 500, code: 'service_unavailable', error_type: 'internal_error', retryable: true },
    ],
    [
      'a fault',
      new TypeError(SECRET),
      { status: 500, code: 'service_unavailable', error_type: 'internal_error', retryable: true },
    ],
    [
      'a fault with a cause',
      new Error(SECRET, { cause: badRequest('x') }),
      { status: 500, code: 'service_unavailable', error_type: 'internal_error', retryable: true },
    ],
    ['a text', SECRET, { status: 500, code: 'service_unavailable', error_type: 'internal_error', retryable: true }],
    ['nothing', undefined, { status: 500, code: 'service_unavailable', error_type: 'internal_error', retryable: true }],
  ])('%s', (_what, error, { status, headers = {}, ...body }) => {
    const reply = errorReply(error, 'req-1')
    expect(reply.status).toBe(status)
    expect(reply.headers).toEqual(headers)
    expect(reply.body).toMatchObject({ ...body, request_id: 'req-1' })
    expect(() => requireValid(ErrorBody, reply.body)).not.toThrow()
    expect(JSON.stringify(reply)).not.toContain(SECRET)
    expect(isFault(error)).toBe(status === 500)
  })
})

describe('the sentence that SDKs show', () => {
  test.each([
    [badRequest('`a.b` is wrong.', 'a.b'), 'bad_request: `a.b` is wrong. (param: a.b)'],
    [conflict('It runs.'), 'bad_request: It runs.'],
    [
      new TypeError('x'),
      'service_unavailable: Something failed on our side. Try again; if it persists, report the request id.',
    ],
  ])('%s', (error, sentence) => {
    expect(errorReply(error, 'r').body.error).toBe(sentence)
  })

  test('goes with when to come again', () => {
    expect(errorReply(rateLimited('x', 9), 'r').body.retry_after_seconds).toBe(9)
    expect(errorReply(badRequest('x'), 'r').body).not.toHaveProperty('retry_after_seconds')
  })
})
