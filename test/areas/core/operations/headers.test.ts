import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { Type } from 'typebox'
import { openApiDocument } from '../../../../api/http/openapi.ts'
import { route } from '../../../../api/http/route.ts'
import { json } from '../../../../api/http/takes/takes.ts'
import { testDatabase } from '../../../support/database.ts'
import { newTenant } from '../../../support/tenants.ts'
import { serve, type Served } from '../../../support/serve-operations.ts'

const db = testDatabase()
const routes = [
  route({
    method: 'GET',
    path: '/headers',
    auth: 'none',
    summary: 'Say what came',
    headers: Type.Object({
      'X-Count': Type.Integer({ minimum: 1 }),
      'X-Flag': Type.Optional(Type.Boolean()),
      'X-Other': Type.Optional(Type.String({ maxLength: 3 })),
    }),
    gives: json(Type.Any()),
    handle: ({ headers }) => ({ twice: headers['X-Count'] * 2, flag: headers['X-Flag'] ?? null }),
  }),
  route({
    method: 'POST',
    path: '/things',
    auth: 'apiKey',
    summary: 'Make a thing',
    takes: json(Type.Any()),
    gives: json(Type.Any()),
    idempotent: true,
    handle: ({ repeatable: { operation, requestKey } }) => ({ operation, key: requestKey?.key ?? null }),
  }),
]

let api: Served
beforeAll(async () => void (api = await serve(routes, db)))
afterAll(() => api.close())

test.each<[Record<string, string>, number, object]>([
  [{ 'x-count': '2' }, 200, { twice: 4, flag: null }],
  [{ 'X-COUNT': '2', 'x-flag': 'true' }, 200, { twice: 4, flag: true }],
  [{}, 400, { param: 'X-Count' }],
  [{ 'x-count': '0' }, 400, { param: 'X-Count' }],
  [{ 'x-count': 'two' }, 400, { param: 'X-Count' }],
  [{ 'x-count': '2', 'x-flag': 'maybe' }, 400, { param: 'X-Flag' }],
  [{ 'x-count': '2', 'x-other': 'long' }, 400, { param: 'X-Other' }],
])('headers %j: %i', async (headers, status, body) => {
  const reply = await fetch(`${api.url}/headers`, { headers })
  expect([reply.status, await reply.json()]).toEqual([status, expect.objectContaining(body)])
})

test('an operation that is idempotent documents its header, checks it and knows what makes a request the same', async () => {
  const { paths } = JSON.parse(JSON.stringify(openApiDocument(routes)))
  expect(paths['/things'].post.parameters).toEqual([
    { name: 'Idempotency-Key', in: 'header', required: false, schema: { type: 'string', maxLength: 255 } },
  ])
  const { secret } = await newTenant(db)
  const post = async (key: string) => {
    const headers = { 'x-api-key': secret, 'content-type': 'application/json', 'idempotency-key': key }
    const reply = await fetch(`${api.url}/things`, { method: 'POST', body: '{"a":1}', headers })
    return [reply.status, await reply.json()]
  }
  expect(await post('mine')).toEqual([200, { operation: 'POST /things', key: 'mine' }])
  expect(await post('x'.repeat(256))).toEqual([400, expect.objectContaining({ param: 'Idempotency-Key' })])
})
