import { beforeAll, expect, test } from '@jest/globals'
import { createHash } from 'node:crypto'
import { apiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
let path: string
let secret: string
const TEXT = 'twelve bytes'
const ETAG = `"${createHash('sha256').update(TEXT).digest('hex')}"`

beforeAll(async () => {
  const tenant = await newTenant(db)
  secret = tenant.secret
  path = `/files/${await tenant.api.upload(TEXT)}/content`
})

const ask = (headers: Record<string, string | undefined> = {}, method = 'GET') =>
  apiClient(secret).send(method, path, { headers: headers as Record<string, string> })

test('content tells what it is known by, and who may keep it', async () => {
  const { status, text, headers } = await ask()
  expect([status, text, headers.get('etag')]).toEqual([200, TEXT, ETAG])
  expect(headers.get('cache-control')).toBe('private, no-cache')
  expect(Date.parse(headers.get('last-modified') ?? '')).toBeLessThanOrEqual(Date.now())
  expect(headers.get('accept-ranges')).toBe('bytes')
})

test('who has it already is told so, without it', async () => {
  const modified = (await ask()).headers.get('last-modified') ?? ''
  for (const headers of [
    { 'if-none-match': ETAG },
    { 'if-none-match': `W/${ETAG}` },
    { 'if-modified-since': modified },
  ]) {
    for (const method of ['GET', 'HEAD']) {
      const reply = await ask(headers, method)
      expect([reply.status, reply.text, reply.headers.get('etag')]).toEqual([304, '', ETAG])
      expect(reply.headers.get('cache-control')).toBe('private, no-cache')
      expect(reply.headers.get('content-length')).toBeNull()
    }
  }
  expect((await ask({ 'if-none-match': '"other"' })).text).toBe(TEXT)
})

test('a range of another content is the whole of this one', async () => {
  const part = await ask({ range: 'bytes=0-5', 'if-range': ETAG })
  expect([part.status, part.text]).toEqual([206, 'twelve'])
  const whole = await ask({ range: 'bytes=0-5', 'if-range': '"other"' })
  expect([whole.status, whole.text]).toEqual([200, TEXT])
  expect((await ask({ range: 'bytes=99-', 'if-range': '"other"' })).status).toBe(200)
  expectError(await ask({ range: 'bytes=99-', 'if-range': ETAG }), 416, { param: 'Range' })
})

test('who wants another content is refused', async () => {
  expectError(await ask({ 'if-match': '"other"' }), 412, { code: 'bad_request' })
  expectError(await ask({ 'if-unmodified-since': 'Thu, 01 Jan 1970 00:00:00 GMT' }), 412, { code: 'bad_request' })
  expect((await ask({ 'if-match': ETAG })).status).toBe(200)
})

test('HEAD tells the whole length, ranges or not, on a connection that goes on', async () => {
  for (const headers of [{}, { range: 'bytes=0-5' }, { range: 'bytes=99-' }]) {
    const reply = await ask(headers, 'HEAD')
    expect([reply.status, reply.text, reply.headers.get('content-length')]).toEqual([200, '', String(TEXT.length)])
  }
  expect((await apiClient(secret).send('HEAD', '/files/file_unknown/content')).status).toBe(404)
})

test('HEAD opens nothing: it is answered where the bytes are gone', async () => {
  const tenant = await newTenant(db)
  const id = await tenant.api.upload(TEXT)
  await db.query(`UPDATE files SET object_key = 'files/nowhere' WHERE id = $1`, [id])
  expect((await tenant.api.send('HEAD', `/files/${id}/content`)).status).toBe(200)
  expect((await tenant.api.get(`/files/${id}/content`, { 'if-none-match': ETAG })).status).toBe(304)
  expect((await tenant.api.get(`/files/${id}/content`)).status).toBe(404)
})
