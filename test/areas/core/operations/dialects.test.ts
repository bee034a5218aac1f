import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { XMLParser } from 'fast-xml-parser'
import { Type } from 'typebox'
import type { Dialect } from '../../../../api/http/errors/dialects.ts'
import { route } from '../../../../api/http/route.ts'
import { json } from '../../../../api/http/takes/takes.ts'
import { badRequest, conflict, DomainError, notFound, serviceUnavailable } from '../../../../domain/core/errors.ts'
import { testDatabase } from '../../../support/database.ts'
import { newTenant } from '../../../support/tenants.ts'
import { exhausted, serve, type Served } from '../../../support/serve-operations.ts'

const db = testDatabase()
const FAILURES: Record<string, () => Error> = {
  bad: () => badRequest('`params.0` is < 1 & "wrong".', 'params.0'),
  missing: () => notFound('object', 'key'),
  bucket: () => new DomainError(404, 'bad_request', 'There is no such bucket.', { type: 'bucket_not_found' }),
  conflict: () => conflict('It is there.'),
  away: () => serviceUnavailable('Away.', 3),
  fault: () => new TypeError('a secret of the inside'),
}
const routes = (['ipop', 's3-xml', 'json-rpc'] as const).flatMap((dialect: Dialect) => [
  route({
    method: 'POST',
    path: `/${dialect}`,
    auth: 'none',
    dialect,
    summary: 'Fail',
    takes: json(Type.Object({ id: Type.Optional(Type.Unknown()), fail: Type.String() }), { mostBytes: 100 }),
    gives: json(Type.Any()),
    handle: ({ body }) => {
      throw FAILURES[body.fail]?.() ?? new Error('no such failure')
    },
  }),
  route({
    method: 'GET',
    path: `/${dialect}/locked`,
    auth: 'apiKey',
    dialect,
    summary: 'Be refused',
    gives: json(Type.Any()),
    handle: () => ({}),
  }),
])

let api: Served
let limited: Served
beforeAll(async () => {
  api = await serve(routes, db)
  limited = await serve(routes, db, exhausted)
})
afterAll(() => Promise.all([api.close(), limited.close()]))

async function fail(dialect: Dialect, body: string) {
  const reply = await fetch(`${api.url}/${dialect}`, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json' },
  })
  return {
    status: reply.status,
    type: reply.headers.get('content-type'),
    headers: reply.headers,
    text: await reply.text(),
  }
}
const failing = (fail: string, id?: unknown) => JSON.stringify({ fail, id })

/** By failure: the status, S3's code, JSON-RPC's code. */
const TOLD: [string, number, string, number][] = [
  [failing('bad'), 400, 'InvalidRequest', -32_602],
  [failing('missing'), 404, 'NoSuchKey', -32_601],
  [failing('bucket'), 404, 'NoSuchBucket', -32_601],
  [failing('conflict'), 409, 'OperationAborted', -32_000],
  [failing('away'), 503, 'ServiceUnavailable', -32_000],
  [failing('fault'), 500, 'InternalError', -32_603],
  ['{"fail":', 400, 'InvalidRequest', -32_700],
  ['{"fail":7}', 400, 'InvalidRequest', -32_600],
  [failing('x'.repeat(200)), 413, 'EntityTooLarge', -32_000],
]

describe('one classification', () => {
  test.each(TOLD)('of %s in every dialect', async (body, status, s3Code, rpcCode) => {
    const [own, s3, rpc] = [await fail('ipop', body), await fail('s3-xml', body), await fail('json-rpc', body)]
    expect([own.status, s3.status, rpc.status]).toEqual([status, status, status])
    const told = JSON.parse(own.text)
    const { Error: xml } = new XMLParser().parse(s3.text)
    expect(s3.type).toBe('application/xml')
    expect(xml).toMatchObject({ Code: s3Code, Message: told.message, Resource: '/v1/s3-xml' })
    expect(xml.RequestId).toBe(s3.headers.get('x-request-id'))
    const { jsonrpc, error, id } = JSON.parse(rpc.text)
    expect({ jsonrpc, id, code: error.code, message: error.message }).toEqual({
      jsonrpc: '2.0',
      id: null,
      code: rpcCode,
      message: told.message,
    })
    expect(error.data).toEqual({ ...told, request_id: rpc.headers.get('x-request-id') })
    expect([s3.headers.get('retry-after'), rpc.headers.get('retry-after')]).toEqual(
      Array(2).fill(own.headers.get('retry-after')),
    )
    for (const { text } of [own, s3, rpc]) expect(text).not.toContain('secret')
  })

  test.each([[7], ['seven'], [null]])('tells a JSON-RPC request by its id %j', async id => {
    expect(JSON.parse((await fail('json-rpc', failing('bad', id))).text).id).toBe(id)
  })

  test('of a missing key, and of a limit that was reached', async () => {
    const { secret } = await newTenant(db)
    const get = async ({ url }: Served, dialect: Dialect, headers: Record<string, string> = {}) => {
      const reply = await fetch(`${url}/${dialect}/locked`, { headers })
      return [reply.status, await reply.text(), reply.headers.get('retry-after')] as const
    }
    expect(await get(api, 's3-xml')).toEqual([403, expect.stringContaining('<Code>AccessDenied</Code>'), null])
    expect(await get(api, 'json-rpc')).toEqual([401, expect.stringContaining('"code":-32000'), null])
    const key = { 'x-api-key': secret }
    expect(await get(limited, 's3-xml', key)).toEqual([429, expect.stringContaining('<Code>SlowDown</Code>'), '7'])
    expect(await get(limited, 'json-rpc', key)).toEqual([429, expect.stringContaining('"code":-32005'), '7'])
    expect(await get(limited, 'ipop', key)).toEqual([429, expect.stringContaining('rate_limit_exceeded'), '7'])
  })
})
