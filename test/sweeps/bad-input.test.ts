import { connect } from 'node:net'
import { text as readText } from 'node:stream/consumers'
import { describe, expect, test } from '@jest/globals'
import { BAD_IDS, badTexts } from '../support/bad-values.ts'
import { chatRow, startBatch, untilEnded } from '../support/batches.ts'
import { testDatabase } from '../support/database.ts'
import { expectError } from '../support/errors.ts'
import { rawRequest, type RawRequest } from '../support/raw-request.ts'
import { rowCounts } from '../support/row-counts.ts'
import { servedDocument, type ServedOperation } from '../support/served-document.ts'
import { testStack } from '../support/stack.ts'
import { SOUND_BODIES } from '../support/sound-bodies.ts'
import { newTenant, type Tenant } from '../support/tenants.ts'

const db = testDatabase()
const document = await servedDocument()
const named = (operations: ServedOperation[]) =>
  operations.map(operation => [`${operation.method} ${operation.path}`, operation] as const)
const idOf = ({ parameters }: ServedOperation) => parameters.find(parameter => parameter.in === 'path')?.name
const isKeyed = ({ security = [] }: ServedOperation) => security.length > 0 && !takesNobody(security)
const takesNobody = (security: object[]) => security.some(scheme => Object.keys(scheme).length === 0)
const json = { 'content-type': 'application/json' }

/** A request of the operation in which nothing is wrong but what the test makes wrong. */
function sound(operation: ServedOperation, tenant: Tenant | undefined): RawRequest {
  const contents = Object.keys(operation.requestBody?.content ?? {})
  const key: Record<string, string> = tenant === undefined ? {} : { 'x-api-key': tenant.secret }
  if (contents.length === 0) return { headers: key }
  if (!contents.includes('application/json')) return { headers: { 'content-type': 'text/plain', ...key }, body: 'x' }
  const body = SOUND_BODIES[`${operation.method} ${operation.path}`]?.(`file_${'0'.repeat(32)}`) ?? {}
  return { headers: { ...json, ...key }, body: JSON.stringify(body) }
}
const pathOf = ({ path }: ServedOperation, id: string) => path.replace(/\{\w+\}/, () => id)

/** Sends bad requests; each is refused, and none of them has left anything. */
async function expectNothingWritten(tenant: Tenant, requests: () => Promise<void>): Promise<void> {
  const before = await rowCounts(db, tenant.userId)
  await requests()
  expect(await rowCounts(db, tenant.userId)).toEqual(before)
}

describe('without a good key', () => {
  const KEYS: Record<string, Record<string, string>> = {
    'no key': {},
    'an empty key': { 'x-api-key': '' },
    'a key of no form of ours': { 'x-api-key': 'sk-1234' },
    'an unknown key': { 'x-api-key': `ipop_${'B'.repeat(43)}` },
    'an unknown bearer key': { authorization: `Bearer ipop_${'B'.repeat(43)}` },
    'another scheme': { authorization: 'Basic dTpw' },
    'a scheme without a key': { authorization: 'Bearer' },
    'a very long key': { 'x-api-key': 'k'.repeat(4_000) },
  }
  test.each(named(document.operations.filter(isKeyed)))('%s is refused', async (_, operation) => {
    for (const headers of Object.values(KEYS)) {
      const reply = await rawRequest(operation.method, pathOf(operation, 'any'), { headers: { ...json, ...headers } })
      expectError(reply, 401, { code: 'unauthorized', type: 'unauthorized' })
    }
  })

  // Content by signed link is refused without either.
  const isOpen = ({ path, security = [] }: ServedOperation) => takesNobody(security) && !path.endsWith('/content')
  test.each(named(document.operations.filter(isOpen)))(
    '%s refuses a wrong key but takes none',
    async (_, operation) => {
      const path = pathOf(operation, 'test/plain')
      const request = sound(operation, undefined)
      const wrong = { ...request, headers: { ...request.headers, 'x-api-key': 'wrong' } }
      expectError(await rawRequest(operation.method, path, wrong), 401, { code: 'unauthorized' })
      expect((await rawRequest(operation.method, path, request)).status).toBe(200)
    },
  )
})

describe('a bad id', () => {
  test.each(named(document.operations.filter(idOf)))('in %s is not found', async (_, operation) => {
    const tenant = await newTenant(db)
    await expectNothingWritten(tenant, async () => {
      for (const [what, id] of Object.entries(BAD_IDS)) {
        const reply = await rawRequest(operation.method, pathOf(operation, id), sound(operation, tenant))
        expect([what, [400, 404].includes(reply.status)]).toEqual([what, true])
        expectError(reply, reply.status)
      }
      const unknown = await rawRequest(operation.method, pathOf(operation, 'unknown'), sound(operation, tenant))
      expectError(unknown, 404, { param: idOf(operation) ?? 'an id' })
    })
  })
})

describe('a bad query', () => {
  const parameters = document.operations.flatMap(operation =>
    operation.parameters
      .filter(parameter => parameter.in === 'query')
      .map(parameter => [`${operation.method} ${operation.path}`, parameter.name, operation, parameter] as const),
  )
  /** What is refused beyond the type. */
  const REFUSED: Record<string, string[]> = {
    limit: ['0', '1000000'],
    rows_limit: ['0', '1001'],
    rows_after: ['2147483648'],
    after: ['x', `file_${'0'.repeat(31)}`, 'x'.repeat(3_000)],
    filename: ['..%2Fx', ''],
    from: ['soon', ''],
    to: ['soon', ''],
    surface: ['fax', ''],
    model: [''],
    api_key_id: [''],
    fingerprint: ['', 'x'.repeat(257)],
    selected_model_id: ['', 'x'.repeat(257)],
  }

  test.each(parameters)('%s names `%s`', async (_, name, operation, parameter) => {
    const tenant = await newTenant(db)
    const id = operation.path.startsWith('/models') ? 'test/plain' : 'any'
    // A cursor of a thing's own list is looked up in the thing, which is not there.
    const refusedHere = name === 'after' && idOf(operation) !== undefined ? [] : (REFUSED[name] ?? [])
    const refused = [...badTexts(document.resolved(parameter.schema)), ...refusedHere, '1%00', 'true%00x']
    const ownRefusals = operation.method === 'POST' && name === 'purpose' ? ['evil', 'batch_output', ''] : []
    await expectNothingWritten(tenant, async () => {
      const queries = [...refused, ...ownRefusals].map(text => `${name}=${text}`)
      for (const query of [...queries, `${name}=1&${name}=2`]) {
        const path = `${pathOf(operation, id)}?${query}`
        const reply = await rawRequest(operation.method, path, sound(operation, tenant))
        expect([query, reply.status]).toEqual([query, 400])
        const { param } = expectError(reply, 400, { code: 'bad_request' })
        expect([query, param?.split('.')[0]]).toEqual([query, name])
      }
    })
  })

  test.each(named(document.operations.filter(({ method }) => method === 'GET')))(
    '%s passes over parameters that it does not know, however odd',
    async (_, operation) => {
      const tenant = await newTenant(db)
      const odd = ['__proto__=1', 'constructor[prototype]=x', '%00=%00', '%FF=%FF', '=&&&=', 'a=%', 'x'.repeat(5_000)]
      const id = operation.path.startsWith('/models') ? 'test/plain' : 'any'
      const needed = operation.parameters.flatMap(one => (one.in === 'query' && one.required ? [`${one.name}=x`] : []))
      for (const query of odd) {
        const path = `${pathOf(operation, id)}?${[...needed, query].join('&')}`
        const reply = await rawRequest('GET', path, sound(operation, tenant))
        expect([query, [200, 404].includes(reply.status)]).toEqual([query, true])
      }
    },
  )
})

describe('what is not there', () => {
  const METHODS = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'PROPFIND']
  const paths = [...new Set(document.operations.map(operation => operation.path))]
  test.each(paths)('%s refuses other methods', async path => {
    const tenant = await newTenant(db)
    const isOf = (operation: ServedOperation) =>
      new RegExp(`^${operation.path.replace(/\{\w+\}/g, '[^/]+')}$`).test(path.replace(/\{\w+\}/, 'any'))
    const taken = document.operations.filter(isOf).map(operation => operation.method)
    await expectNothingWritten(tenant, async () => {
      for (const method of METHODS.filter(one => !taken.includes(one))) {
        const headers = { 'x-api-key': tenant.secret, ...json }
        const reply = await rawRequest(method, path.replace(/\{\w+\}/, 'any'), { headers, body: '{}' })
        expect([method, reply.status]).toEqual([method, 405])
        expectError(reply, 405, { code: 'bad_request', type: 'method_not_allowed' })
        expect(reply.headers['allow']?.split(', ')).toEqual(expect.arrayContaining(taken))
      }
    })
  })

  test.each(['/nothing', '/files/a/b/c', '/batches/a/b', '/chat', '/', '/usage/', '/files/../../v1', '/%2e%2e/files'])(
    'the path %s is unknown',
    async path => {
      const { secret } = await newTenant(db)
      const reply = await rawRequest('POST', path, { headers: { 'x-api-key': secret, ...json }, body: '{}' })
      expect([404, 405]).toContain(reply.status)
      expectError(reply, reply.status, { code: 'bad_request' })
    },
  )

  test('outside of /v1 there is nothing', async () => {
    const { apiUrl } = testStack()
    for (const path of ['/', '/v2/models', '/models', '/v1']) {
      const reply = await fetch(`${apiUrl}${path}`)
      expectError({ status: reply.status, headers: reply.headers, text: await reply.text() }, 404, {
        type: 'not_found',
      })
    }
  })
})

describe('what is no request', () => {
  test.each([
    ['not HTTP', 'GARBAGE\r\n\r\n', 400],
    ['a NUL in a header', 'GET /v1/models HTTP/1.1\r\nhost: x\r\nx: a\u0000b\r\n\r\n', 400],
    ['a path of 20,000 characters', `GET /v1/files/${'x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`, 431],
    ['headers of 20,000 characters', `GET /v1/models HTTP/1.1\r\nhost: ${'x'.repeat(20_000)}\r\n\r\n`, 431],
    ['two lengths', 'POST /v1/files HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nxx', 400],
    ['a broken chunk', 'POST /v1/files HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n', 400],
  ])('is refused: %s', async (_, text, status) => {
    const { hostname, port } = new URL(testStack().apiUrl)
    const socket = connect(Number(port), hostname)
    socket.write(text)
    const [head = '', body = ''] = (await readText(socket)).split('\r\n\r\n')
    const [first, ...lines] = head.toLowerCase().split('\r\n')
    const headers = Object.fromEntries(lines.map(line => line.split(': ') as [string, string]))
    expect(first).toContain(`http/1.1 ${status} `)
    expectError({ status, headers, text: body }, status, { code: 'bad_request' })
  })
})

test("a batch's id is no file's, nor the other way round", async () => {
  const { api } = await newTenant(db)
  const batchId = await startBatch(api, [chatRow('a', 'hello')])
  const { input_file_id: fileId } = await untilEnded(api, batchId)
  expectError(await api.get(`/files/${batchId}`), 404, { param: 'file_id' })
  expectError(await api.get(`/batches/${fileId}`), 404, { param: 'batch_id' })
  expectError(await api.get(`/files?after=${batchId}`), 400, { param: 'after' })
  expectError(await api.get(`/batches?after=${fileId}`), 400, { param: 'after' })
})
