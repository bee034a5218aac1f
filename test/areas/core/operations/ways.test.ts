import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Type } from 'typebox'
import type { Auth } from '../../../../api/http/auth/principal.ts'
import { openApiDocument } from '../../../../api/http/openapi.ts'
import { route, type AnyRoute } from '../../../../api/http/route.ts'
import { json } from '../../../../api/http/takes/takes.ts'
import { createProject } from '../../../../domain/tenancy/projects/project.service.ts'
import { queryOne } from '../../../../infra/postgres/database.ts'
import { testDatabase } from '../../../support/database.ts'
import { newKey, newTenant, type Tenant } from '../../../support/tenants.ts'
import { ADMIN_TOKEN, serve, type Served } from '../../../support/serve-operations.ts'

const db = testDatabase()
const WAYS: Record<string, Auth> = {
  key: 'apiKey',
  bearer: 'bearer',
  query: 'queryKey',
  admin: 'admin',
  none: 'none',
  'key-or-none': ['apiKey', 'none'],
  'admin-or-key': ['admin', 'apiKey'],
}
const routes: AnyRoute[] = [
  ...Object.entries(WAYS).map(([name, auth]) =>
    route({
      method: 'GET',
      path: `/${name}/who`,
      auth,
      summary: 'Say who asks',
      gives: json(Type.Any()),
      handle: ({ principal, caller }) => ({ kind: principal.kind, user: caller?.owner.userId ?? null }),
    }),
  ),
  ...(['apiKey', 'admin'] as const).map(auth =>
    route({
      method: 'GET',
      path: `/${auth}/projects/{project_id}`,
      auth,
      scope: 'project',
      summary: 'Say where it is',
      params: Type.Object({ project_id: Type.String() }),
      gives: json(Type.Any()),
      handle: ({ scope }) => scope.owner,
    }),
  ),
]

let api: Served
let tenant: Tenant
beforeAll(async () => {
  api = await serve(routes, db)
  tenant = await newTenant(db)
})
afterAll(() => api.close())

const KEY = 'KEY'
/** In the place of KEY stands the tenant's key. */
const withKey = (text: string) => text.replace(KEY, tenant.secret)
const ask = async (path: string, headers: Record<string, string> = {}) => {
  const sent = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, withKey(value)]))
  const reply = await fetch(api.url + withKey(path), { headers: sent })
  const body = (await reply.json()) as Record<string, string | null>
  return { status: reply.status, body }
}

describe('who comes in', () => {
  const [own, bearer, adminOwn, adminBearer] = [
    { 'x-api-key': KEY },
    { authorization: `Bearer ${KEY}` },
    { 'x-admin-token': ADMIN_TOKEN },
    { authorization: `Bearer ${ADMIN_TOKEN}` },
  ]
  test.each<[string, Record<string, string>, string | number]>([
    ['/key/who', own, 'key'],
    ['/key/who', bearer, 'key'],
    ['/key/who', {}, 401],
    ['/key/who', { 'x-api-key': 'ipop_no' }, 401],
    ['/key/who', adminBearer, 401],
    [`/key/who?api-key=${KEY}`, {}, 401],
    ['/bearer/who', bearer, 'key'],
    ['/bearer/who', own, 401],
    [`/query/who?api-key=${KEY}`, {}, 'key'],
    [`/query/who?a=1&api-key=${KEY}`, {}, 'key'],
    ['/query/who?api-key=', {}, 401],
    ['/query/who?api-key=no', {}, 401],
    ['/query/who', own, 401],
    ['/admin/who', adminOwn, 'admin'],
    ['/admin/who', adminBearer, 'admin'],
    ['/admin/who', { 'x-admin-token': `${ADMIN_TOKEN}x` }, 401],
    ['/admin/who', { 'x-admin-token': '' }, 401],
    ['/admin/who', bearer, 401],
    ['/admin/who', own, 401],
    ['/none/who', own, 'anonymous'],
    ['/none/who', {}, 'anonymous'],
    ['/key-or-none/who', own, 'key'],
    ['/key-or-none/who', {}, 'anonymous'],
    ['/key-or-none/who', { 'x-api-key': 'ipop_no' }, 401],
    ['/admin-or-key/who', adminBearer, 'admin'],
    ['/admin-or-key/who', bearer, 'key'],
    ['/admin-or-key/who', { 'x-admin-token': 'no', ...own }, 401],
  ])('%s %j: %s', async (path, headers, expected) => {
    const { status, body } = await ask(path, headers)
    expect(status === 200 ? body['kind'] : status).toBe(expected)
    expect(body['user'] ?? null).toBe(expected === 'key' ? tenant.userId : null)
    expect(body['code'] ?? null).toBe(expected === 401 ? 'unauthorized' : null)
  })
})

test('a use of the admin token is on record, and a try with another is not', async () => {
  const count = async () => {
    const text = "SELECT count(*)::int AS uses FROM admin_uses WHERE operation = 'GET /admin/who'"
    return (await queryOne<{ uses: number }>(db, text, [])).uses
  }
  const before = await count()
  const reply = await fetch(`${api.url}/admin/who?secret=x`, { headers: { 'x-admin-token': ADMIN_TOKEN } })
  await fetch(`${api.url}/admin/who`, { headers: { 'x-admin-token': 'another' } })
  expect(await count()).toBe(before + 1)
  const text = 'SELECT operation, path, client_address FROM admin_uses WHERE request_id = $1::uuid'
  expect(await queryOne(db, text, [reply.headers.get('x-request-id')])).toEqual({
    operation: 'GET /admin/who',
    path: '/v1/admin/who',
    client_address: '127.0.0.1',
  })
})

describe('a project', () => {
  const statusOf = async (secret: string, id: string) =>
    (await fetch(`${api.url}/apiKey/projects/${id}`, { headers: { 'x-api-key': secret } })).status

  test('is entered by the keys of its account, and by its own', async () => {
    const here = await createProject({ db }, tenant.userId, 'here')
    const there = await createProject({ db }, tenant.userId, 'there')
    const keyHere = await newKey(db, tenant.userId, { projectId: here.id })
    const stranger = await newTenant(db, { inProject: true })
    expect([await statusOf(tenant.secret, here.id), await statusOf(tenant.secret, there.id)]).toEqual([200, 200])
    expect([await statusOf(keyHere.secret, here.id), await statusOf(keyHere.secret, there.id)]).toEqual([200, 404])
    expect([await statusOf(stranger.secret, here.id), await statusOf(stranger.secret, 'proj_no')]).toEqual([404, 404])
    const { body } = await ask(`/apiKey/projects/${here.id}`, { 'x-api-key': KEY })
    expect(body).toEqual({ userId: tenant.userId, projectId: here.id })
  })

  test('is entered by the operator, whosever it is', async () => {
    const { id } = await createProject({ db }, tenant.userId, 'any')
    const headers = { 'x-admin-token': ADMIN_TOKEN }
    expect(await ask(`/admin/projects/${id}`, headers)).toEqual({
      status: 200,
      body: { userId: tenant.userId, projectId: id },
    })
    expect((await ask('/admin/projects/proj_no', headers)).status).toBe(404)
  })
})

test('the document has the schemes that are used, in the order tried', () => {
  const document = JSON.parse(JSON.stringify(openApiDocument(routes)))
  const securityOf = (name: string) => document.paths[`/${name}/who`].get.security
  expect(securityOf('bearer')).toEqual([{ BearerApiKey: [] }])
  expect(securityOf('query')).toEqual([{ QueryApiKey: [] }])
  expect(securityOf('admin')).toEqual([{ AdminToken: [] }, { AdminBearer: [] }])
  expect(securityOf('none')).toBeUndefined()
  expect(securityOf('key-or-none')).toEqual([{}, { ApiKey: [] }, { BearerApiKey: [] }])
  expect(Object.keys(document.components.securitySchemes).toSorted()).toEqual(
    ['AdminBearer', 'AdminToken', 'ApiKey', 'BearerApiKey', 'QueryApiKey'].toSorted(),
  )
})
