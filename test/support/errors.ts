import { expect } from '@jest/globals'
import { Value } from 'typebox/value'
import { ErrorBody } from '../../domain/core/errors.schema.ts'

interface Wanted {
  code?: string
  type?: string
  param?: string
}

interface Reply {
  status: number
  headers: Headers | Record<string, unknown>
  text: string
}

/** The reply is the status given, with the closed error body and what is wanted of it. */
export function expectError(reply: Reply, status: number, wanted: Wanted = {}): ErrorBody {
  const body = expectErrorBody(reply)
  expect({ status: reply.status, body }).toMatchObject({
    status,
    body: {
      ...(wanted.code !== undefined && { code: wanted.code }),
      ...(wanted.type !== undefined && { error_type: wanted.type }),
      ...(wanted.param !== undefined && { param: wanted.param }),
    },
  })
  return body
}

/** The body is the error's and nothing else, and agrees with the headers. */
function expectErrorBody({ headers, text }: Reply): ErrorBody {
  const body = JSON.parse(text) as ErrorBody
  expect([...Value.Errors(ErrorBody, body)]).toEqual([])
  expect(body.error).toContain(body.code)
  if (body.param !== undefined) expect(body.error).toContain(body.param)
  expect(headerOf(headers, 'x-request-id')).toBe(body.request_id)
  expect(headerOf(headers, 'content-type')).toContain('application/json')
  const retryAfter = headerOf(headers, 'retry-after')
  expect(retryAfter === undefined ? undefined : Number(retryAfter)).toBe(body.retry_after_seconds)
  return body
}

const headerOf = (headers: Reply['headers'], name: string): string | undefined =>
  headers instanceof Headers ? (headers.get(name) ?? undefined) : (headers[name] as string | undefined)
