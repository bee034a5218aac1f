import { describe, expect, test } from '@jest/globals'
import { createCors, isPreflight } from '../../../api/http/cors.ts'
import { DomainError } from '../../../domain/core/errors.ts'

const APP = 'https://app.example.com'
const origin = (value: string) => ({ headers: { origin: value } })
const asked = (names: string, from = APP) => ({ headers: { origin: from, 'access-control-request-headers': names } })

describe('a reply where any origin may read', () => {
  const cors = createCors('*')
  test.each([
    ['GET', {}],
    ['HEAD', {}],
    ['POST', { origin: APP }],
    ['DELETE', { origin: 'null' }],
  ])('says so, the same to all: %s of %j', (method, headers) => {
    const told = cors.headersOf({ method, headers })
    expect(told).toMatchObject({ 'access-control-allow-origin': '*' })
    expect(told['access-control-expose-headers']).toMatch(/x-request-id, retry-after.*x-next-cursor.*etag/)
    expect(Object.keys(told)).toHaveLength(2)
  })

  test('says nothing to a program that cannot be a page, of what no cache keeps', () => {
    expect(cors.headersOf({ method: 'POST', headers: {} })).toEqual({})
  })
})

describe('a reply where named origins may read', () => {
  const cors = createCors([APP])
  test.each([
    ['the origin', { origin: APP }, APP],
    ['another', { origin: 'https://evil.example.com' }, undefined],
    ['one that only begins so', { origin: `${APP}.evil.com` }, undefined],
    ['none', {}, undefined],
  ])('names %s, and differs by it for caches', (_, headers, allowed) => {
    const told = cors.headersOf({ method: 'GET', headers })
    expect([told['access-control-allow-origin'], told['vary']]).toEqual([allowed, 'Origin'])
  })

  test('no credentials are allowed', () => {
    expect(cors.headersOf({ method: 'GET', ...origin(APP) })).not.toHaveProperty('access-control-allow-credentials')
  })
})

describe('a preflight', () => {
  test.each([
    [
      'authorization,content-type,x-stainless-os, X-Stainless-Retry-Count',
      'authorization, content-type, x-stainless-os, X-Stainless-Retry-Count',
    ],
    ['x-api-key, idempotency-key, last-event-id', 'x-api-key, idempotency-key, last-event-id'],
    ['a b, c\u00e9, ok, , *', 'ok'],
    ['', undefined],
    [`${'x'.repeat(129)}`, undefined],
    [Array.from({ length: 500 }, (_, place) => `h${place}`).join(','), expect.stringMatching(/h99$/)],
  ])('for the headers %s allows %s', (names, allowed) => {
    expect(createCors('*').preflightHeaders(asked(names))['access-control-allow-headers']).toEqual(allowed)
  })

  test.each([
    [{ origin: APP, 'access-control-request-method': 'POST' }, 'OPTIONS', true],
    [{ origin: APP, 'access-control-request-method': 'POST' }, 'GET', false],
    [{ origin: APP }, 'OPTIONS', false],
    [{ 'access-control-request-method': 'POST' }, 'OPTIONS', false],
  ])('is told from other requests: %j of %s', (headers, method, is) => {
    expect(isPreflight({ headers, method } as never)).toBe(is)
  })

  test('of another origin than those named is refused', () => {
    const cors = createCors([APP])
    expect(cors.preflightHeaders(asked('', APP))).toHaveProperty('access-control-allow-methods')
    expect(() => cors.preflightHeaders(asked('', 'https://evil.example.com'))).toThrow(DomainError)
    expect(() => createCors([]).preflightHeaders(asked(''))).toThrow(DomainError)
  })
})
