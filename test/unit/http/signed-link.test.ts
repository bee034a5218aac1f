import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Type } from 'typebox'
import { openApiDocument } from '../../../api/http/openapi.ts'
import { route } from '../../../api/http/route.ts'
import { json } from '../../../api/http/takes/takes.ts'
import { OPERATION_LINK, signLink, type LinkTarget } from '../../../infra/crypto/links.ts'
import { serve, SIGNING_KEYS, type Served } from '../../support/serve-operations.ts'

const routes = (['GET', 'PUT'] as const).map(method =>
  route({
    method,
    path: '/pictures/{id}',
    auth: ['signedLink', 'apiKey'],
    summary: 'Say who asks for what',
    params: Type.Object({ id: Type.String() }),
    query: Type.Object({ width: Type.Optional(Type.Integer()) }),
    gives: json(Type.Any()),
    handle: ({ principal, params, query }) => ({ kind: principal.kind, id: params.id, width: query.width ?? null }),
  }),
)

let api: Served
beforeAll(async () => void (api = await serve(routes)))
afterAll(() => api.close())

const linkTo = (changes: Partial<LinkTarget> = {}) =>
  signLink(
    SIGNING_KEYS,
    new URL(api.url).origin,
    { purpose: OPERATION_LINK, method: 'GET', path: '/v1/pictures/a', claims: { width: '8' }, ...changes },
    60,
  )

test('a signed link lets in whoever has it, without a key, for what it names', async () => {
  const reply = await fetch(linkTo())
  expect([reply.status, await reply.json()]).toEqual([200, { kind: 'link', id: 'a', width: 8 }])
  expect((await fetch(linkTo(), { method: 'HEAD' })).status).toBe(200)
  expect((await fetch(linkTo(), { headers: { 'x-api-key': 'of somebody' } })).status).toBe(200)
  expect((await fetch(linkTo({ method: 'PUT' }), { method: 'PUT' })).status).toBe(200)
  expect((await fetch(linkTo({ claims: {} }))).status).toBe(200)
})

describe('a signed link is refused', () => {
  test.each<[string, (link: string) => string]>([
    ['at another path', link => link.replace('/a?', '/b?')],
    ['at another spelling of the path', link => link.replace('/a?', '/%61?')],
    ['with a parameter more', link => `${link}&index=0`],
    ['with a parameter twice, first', link => link.replace('?width=8', '?width=9&width=8')],
    ['with a parameter twice, last', link => `${link}&width=9`],
    ['with another parameter', link => link.replace('width=8', 'width=9')],
    ['without a parameter', link => link.replace('width=8&', '')],
    ['with another end', link => link.replace(/expires=\d+/, 'expires=9999999999')],
    ['with two ends', link => `${link}&expires=9999999999`],
    ['without an end', link => link.replace(/&expires=\d+/, '')],
    ['with an end that is none', link => link.replace(/expires=\d+/, 'expires=never')],
    ['with another signature', link => link.replace(/signature=.*/, 'signature=k1.AAAA')],
    ['without a signature', link => link.replace(/&signature=.*/, '')],
    ['with an empty signature', link => link.replace(/signature=.*/, 'signature=')],
  ])('%s', async (_, change) => {
    const reply = await fetch(change(linkTo()))
    expect([reply.status, await reply.json()]).toEqual([401, expect.objectContaining({ code: 'unauthorized' })])
  })

  test('of another purpose, and with another method', async () => {
    expect((await fetch(linkTo({ purpose: 'other' }))).status).toBe(401)
    expect((await fetch(linkTo(), { method: 'PUT' })).status).toBe(401)
    expect((await fetch(linkTo({ method: 'PUT' }))).status).toBe(401)
  })
})

test('the document names the link beside the key', () => {
  const document = JSON.parse(JSON.stringify(openApiDocument(routes)))
  expect(document.paths['/pictures/{id}'].get.security).toEqual([
    { SignedLink: [] },
    { ApiKey: [] },
    { BearerApiKey: [] },
  ])
})
