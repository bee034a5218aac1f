import { Readable } from 'node:stream'
import { gzipSync } from 'node:zlib'
import { describe, expect, test } from '@jest/globals'
import { bodyLimitOf } from '../support/body-limits.ts'
import { badValues, nested } from '../support/bad-values.ts'
import { chatRow } from '../support/batches.ts'
import { createProject } from '../../domain/tenancy/projects/project.service.ts'
import { callAt, insertPastCalls } from '../support/calls.ts'
import { CREDENTIALS, newCredential } from '../support/credentials.ts'
import { testDatabase } from '../support/database.ts'
import { expectError } from '../support/errors.ts'
import { rawRequest, type RawReply, type RawRequest } from '../support/raw-request.ts'
import { rowCounts } from '../support/row-counts.ts'
import { servedDocument, type ServedOperation } from '../support/served-document.ts'
import { SOUND_BODIES } from '../support/sound-bodies.ts'
import { newTenant, type Tenant } from '../support/tenants.ts'

type Fields = Record<string, unknown>

const JSON_TYPE = 'application/json'
const db = testDatabase()
const document = await servedDocument()
const schemaOf = ({ requestBody }: ServedOperation) => requestBody?.content[JSON_TYPE]?.schema
const withBody = document.operations
  .filter(schemaOf)
  .map(operation => [`${operation.method} ${operation.path}`, operation] as const)

/** The path of each operation that has an id in it, of a thing of the tenant's. */
const PATHS: Record<string, (tenant: Tenant) => Promise<string>> = {
  'PATCH /account/provider-credentials/{credential_id}': async ({ api }) =>
    `${CREDENTIALS}/${(await newCredential(api)).id}`,
  'PUT /projects/{project_id}/inference-policy': async ({ userId }) =>
    `/projects/${(await createProject({ db }, userId, 'test')).id}/inference-policy`,
  'POST /request-history/{request_id}/feedback': async tenant => {
    const call = callAt(tenant, new Date())
    await insertPastCalls(db, [call])
    return `/request-history/${call.id}/feedback`
  },
}
const pathOf = async ({ method, path }: ServedOperation, tenant: Tenant): Promise<string> =>
  PATHS[`${method} ${path}`]?.(tenant) ?? path

interface Target {
  tenant: Tenant
  sound: Fields
  send: (body: RawRequest['body'], headers?: Record<string, string | number | undefined>) => Promise<RawReply>
}

/** Lets the test send bad bodies; none of them may leave anything behind. */
async function target(operation: ServedOperation, requests: (target: Target) => Promise<void>): Promise<void> {
  const tenant = await newTenant(db)
  const fileId = await tenant.api.upload([chatRow('a', 'hello')])
  const path = await pathOf(operation, tenant)
  const before = await rowCounts(db, tenant.userId)
  await requests({
    tenant,
    sound: SOUND_BODIES[`${operation.method} ${operation.path}`]?.(fileId) ?? {},
    send: (body, headers = {}) =>
      rawRequest(operation.method, path, {
        headers: withoutUndefined({ 'x-api-key': tenant.secret, 'content-type': JSON_TYPE, ...headers }),
        ...(body !== undefined && { body }),
      }),
  })
  expect(await rowCounts(db, tenant.userId)).toEqual(before)
}

const withoutUndefined = (headers: Record<string, string | number | undefined>) =>
  Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== undefined))

test('every operation with a JSON body is tried', () => {
  expect(withBody.map(([name]) => name).toSorted()).toEqual(Object.keys(SOUND_BODIES).toSorted())
})

describe.each(withBody)('%s', (name, operation) => {
  const schema = document.resolved(schemaOf(operation) ?? {})
  const properties = Object.entries(schema['properties'] as Record<string, Fields>)
  /** What the schema cannot say. */
  const refusedBeyond: Record<string, unknown[]> = {
    response_format: [5, 'json', {}, { type: 'xml' }, { type: 'json_schema' }],
    tool_choice: [5, [], true],
    completion_window: ['', 'soon', '0s', '-1h', '8d', '1e3s', '24h\u0000', '٣h'],
    messages: [[], [5], [{}], [{ role: 'evil', content: 'x' }], [{ role: 'user' }], [{ role: 'user', content: 5 }]],
    tools: [[5], [{}], [{ type: 'evil' }], [{ type: 'function' }], [{ type: 'function', function: { name: 'a b' } }]],
    input: ['', [], [''], [5, 'a'], [[]], [[1.5]], [-1], [['a']], [null], Array.from({ length: 2_049 }, () => 'a')],
    prompt: ['', [], [''], 5, [5], [[1, 2]], ['a', 5], [null], [{}], Array.from({ length: 9 }, () => 'a')],
    stop: [5, {}, [5], ['a', 'b', 'c', 'd', 'e']],
    instructions: [5, true, {}, [5]],
    conversation: [5, true, 'conv_1', {}],
    truncation: ['never', 5, true],
    size: ['', 'big', '0x0', '-1x1', '1024', '1e3x1', '99999x1'],
    quality: ['', 'best'],
    frame_images: [[{}], [5]],
    input_references: [[{}], [5]],
    image_url: ['', 'x', 'file:///etc/passwd', 'https://127.0.0.1'],
    redaction_rule_id: [5, '', 'no such rule', []],
    endpoint: ['/v1/embeddings/../chat', 'chat_completions\u0000'],
    base_url: [5, true, [], {}, '', 'http://1.1.1.1', 'https://127.0.0.1'],
    metadata: name === 'POST /batches' ? [{ a: '\u0000' }, { a: ['\ud800'] }, { b: { '\u0000': 1 } }] : [],
  }

  test.each(properties)('names the field `%s`', async (field, property) => {
    await target(operation, async ({ send, sound }) => {
      // A field that takes anything by its schema is one of those that are checked beyond it.
      const isSigned = field === 'seed'
      const own = badValues(property).filter(value => !(isSigned && Number.isInteger(value)))
      const values = [...own, ...(refusedBeyond[field] ?? [])]
      expect(values.length).toBeGreaterThan(2)
      for (const value of values) {
        const reply = await send(JSON.stringify({ ...sound, [field]: value }))
        const isUnknownModel = field === 'model' && typeof value === 'string' && value !== ''
        expect([value, reply.status]).toEqual([value, isUnknownModel ? 404 : 400])
        const { param } = expectError(reply, reply.status)
        expect([value, param?.split('.')[0]]).toEqual([value, field])
      }
    })
  })

  const required = (schema['required'] ?? []) as string[]
  for (const field of required) test(`misses \`${field}\``, () => expectMissed(field))
  const expectMissed = (field: string) =>
    target(operation, async ({ send, sound }) => {
      const { [field]: _, ...others } = sound
      expectError(await send(JSON.stringify(others)), 400, { code: 'bad_request', param: field })
      const hidden = JSON.stringify({ ...others, constructor: sound }).replace(
        '{',
        `{"__proto__":${JSON.stringify(sound)},`,
      )
      expectError(await send(hidden), 400, { code: 'bad_request', param: field })
      expectError(await send(JSON.stringify({ ...sound, [field]: null })), 400, { code: 'bad_request', param: field })
    })

  const BROKEN: [string, (sound: string) => string | Uint8Array][] = [
    ['nothing', () => ''],
    ['white space', () => ' \n'],
    ['half of it', sound => sound.slice(0, -5)],
    ['more behind it', sound => `${sound}}`],
    ['single quotes', sound => sound.replaceAll('"', "'")],
    ['a comment', sound => `/* */${sound}`],
    ['NaN', sound => sound.replace('{', '{"x":NaN,')],
    ['a form', () => 'model=x&messages=y'],
    ['null', () => 'null'],
    ['an array', sound => `[${sound}]`],
    ['a string', sound => JSON.stringify(sound)],
    ['a number', () => '5'],
    ['bad UTF-8', sound => Buffer.from(sound.replace('{', '{"x":"\u00ff",'), 'latin1')],
    ['an overlong NUL', sound => Buffer.from(sound.replace('{', '{"x":"\u00c0\u0080",'), 'latin1')],
    ['UTF-16', sound => Buffer.from(sound, 'utf16le')],
    ['a bare surrogate', sound => Buffer.from(sound.replace('{', '{"x":"\u00ed\u00a0\u0080",'), 'latin1')],
    ['100,000 levels', () => nested(100_000)],
    ['100,000 levels in a field that is not known', sound => sound.replace('{', `{"x":${nested(100_000)},`)],
    ['100,000 levels in the metadata', sound => sound.replace('{', `{"metadata":{"x":${nested(100_000)}},`)],
    ['10,000 levels in the metadata', sound => sound.replace('{', `{"metadata":{"x":${nested(10_000)}},`)],
  ]
  test.each(BROKEN)('refuses %s', async (_, broken) => {
    await target(operation, async ({ send, sound }) => {
      expectError(await send(broken(JSON.stringify(sound))), 400, { code: 'bad_request' })
    })
  })

  test.each<[string, Record<string, string | undefined>, number]>([
    ['no content type', { 'content-type': undefined }, 415],
    ['text', { 'content-type': 'text/plain' }, 415],
    ['a form', { 'content-type': 'application/x-www-form-urlencoded' }, 415],
    ['a multipart form', { 'content-type': 'multipart/form-data; boundary=x' }, 415],
    ['a broken content type', { 'content-type': ';;;' }, 415],
    ['an unknown encoding', { 'content-encoding': 'rot13' }, 415],
    ['gzip that is none', { 'content-encoding': 'gzip' }, 400],
  ])('refuses %s', async (_, headers, status) => {
    await target(operation, async ({ send, sound }) => {
      expectError(await send(JSON.stringify(sound), headers), status, { code: 'bad_request' })
    })
  })

  test('refuses an over-long body, by its length, as it comes, and unpacked', async () => {
    const limit = bodyLimitOf(name)
    const padded = (sound: Fields, bytes: number) => JSON.stringify({ ...sound, padding: 'x'.repeat(bytes) })
    await target(operation, async ({ send, sound }) => {
      const never = new Readable({ read: () => undefined })
      const replies = [
        await send(never, { 'content-length': limit + 1 }),
        await send(Readable.from([padded(sound, limit)], { objectMode: false })),
        await send(gzipSync(padded(sound, limit)), { 'content-encoding': 'gzip' }),
      ]
      for (const reply of replies) expectError(reply, 413, { code: 'bad_request', type: 'payload_too_large' })
    })
  })

  test('is sound in these tests but for what they make wrong', async () => {
    const tenant = await newTenant(db)
    const sound = SOUND_BODIES[name]?.(await tenant.api.upload([chatRow('a', 'hello')])) ?? {}
    const odd = JSON.stringify({ ...sound, constructor: 1 }).replace('{', '{"__proto__":{"stream":true},')
    const body = schema['additionalProperties'] === false ? JSON.stringify(sound) : odd
    const path = await pathOf(operation, tenant)
    const reply = await tenant.api.send(operation.method, path, { headers: { 'content-type': JSON_TYPE }, body })
    expect([200, 202]).toContain(reply.status)
    expect(reply.headers.get('content-type')).toContain(JSON_TYPE)
  })
})

describe('the metadata of a batch', () => {
  test('keeps what JSON can hold', async () => {
    const { api } = await newTenant(db)
    const fileId = await api.upload([chatRow('a', 'hello')])
    const metadata = '{"__proto__":{"polluted":true},"constructor":"x","":"","ü😀":[1,null,{"a":1e300}]}'
    const reply = await api.send('POST', '/batches', {
      headers: { 'content-type': JSON_TYPE },
      body: `{"input_file_id":"${fileId}","metadata":${metadata}}`,
    })
    expect(reply.status).toBe(200)
    expect(JSON.stringify(reply.body.metadata)).toContain('"__proto__":{"polluted":true}')
    expect(reply.body.metadata).toEqual(JSON.parse(metadata))
    expect({}).not.toHaveProperty('polluted')
  })

  test.each([
    ['too long', { a: 'x'.repeat(16_384) }],
    ['a list', ['a']],
  ])('is refused where it is %s', async (_, metadata) => {
    const { api, userId } = await newTenant(db)
    const fileId = await api.upload([chatRow('a', 'hello')])
    const before = await rowCounts(db, userId)
    expectError(await api.post('/batches', { input_file_id: fileId, metadata }), 400, { param: 'metadata' })
    expect(await rowCounts(db, userId)).toEqual(before)
  })
})

describe('a header of POST /batches', () => {
  test.each([
    ['too long', 'k'.repeat(256)],
    ['not printable', 'a\tb'],
    ['of other scripts', 'sch\u00fcssel'],
  ])('Idempotency-Key is refused where it is %s', async (_, key) => {
    const { api, userId } = await newTenant(db)
    const fileId = await api.upload([chatRow('a', 'hello')])
    const before = await rowCounts(db, userId)
    const reply = await api.post('/batches', { input_file_id: fileId }, { 'idempotency-key': key })
    expectError(reply, 400, { code: 'bad_request', param: 'Idempotency-Key' })
    expect(await rowCounts(db, userId)).toEqual(before)
  })
})
