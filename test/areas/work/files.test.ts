import { createHash } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import { chatRow, startBatch, untilEnded } from '../../support/batches.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakePrompt, waitForCalls } from '../../support/fake-upstream.ts'
import { rawRequest } from '../../support/raw-request.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'

const db = testDatabase()
const CONTENT = 'first line\n\u0000\u00ff binary \n'
const SHA256 = createHash('sha256').update(CONTENT).digest('hex')
const UNKNOWN = `file_${'0'.repeat(32)}`

const raw = ({ api }: Tenant, query: string, type = 'application/octet-stream', content = CONTENT) =>
  api.send('POST', `/files${query}`, { headers: { 'content-type': type }, body: content })

/** A form as a hostile client may write it. */
function form(parts: string[]): { headers: Record<string, string>; body: string } {
  const lines = parts.map(part => `--edge\r\nContent-Disposition: form-data; ${part}\r\n`)
  return {
    headers: { 'content-type': 'multipart/form-data; boundary=edge' },
    body: `${lines.join('')}--edge--\r\n`,
  }
}
const filePart = (filename: string) => `name="file"; filename="${filename}"\r\n\r\n${CONTENT}`
const purposePart = (purpose: string) => `name="purpose"\r\n\r\n${purpose}`

describe('an upload', () => {
  test.each([
    ['raw octets', 'application/octet-stream'],
    ['raw JSONL', 'application/jsonl'],
    ['raw text with a charset', 'text/plain; charset=utf-8'],
  ])('of %s is stored as it came', async (_, type) => {
    const tenant = await newTenant(db)
    const { status, body } = await raw(tenant, '?purpose=fine-tune&filename=my%20rows.jsonl', type)
    expect(status).toBe(200)
    expect(body).toEqual({
      id: expect.stringMatching(/^file_[0-9a-f]{32}$/),
      object: 'file',
      object_kind: 'file',
      status: 'processed',
      owner_user_id: tenant.userId,
      project_id: null,
      purpose: 'fine-tune',
      filename: 'my rows.jsonl',
      bytes: Buffer.byteLength(CONTENT),
      sha256: SHA256,
      storage_uri: `ipop://files/${body.id}`,
      created_at: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      created: Math.floor(Date.parse(body.created_at) / 1000),
      expires_at: null,
    })
    expect((await tenant.api.get(`/files/${body.id}`)).body).toEqual(body)
    const content = await rawRequest('GET', `/files/${body.id}/content`, { headers: { 'x-api-key': tenant.secret } })
    expect(content.bytes).toEqual(Buffer.from(CONTENT))
    expect(content.headers).toMatchObject({
      'content-type': 'application/octet-stream',
      'content-length': String(Buffer.byteLength(CONTENT)),
      'accept-ranges': 'bytes',
      etag: `"${SHA256}"`,
      'content-disposition': "attachment; filename*=UTF-8''my%20rows.jsonl",
    })
  })

  test.each([
    ['before', (data: FormData, add: () => void) => (data.append('purpose', 'assistants'), add())],
    ['after', (data: FormData, add: () => void) => (add(), data.append('purpose', 'assistants'))],
  ])('as a form takes the purpose %s the file', async (_, fill) => {
    const { api } = await newTenant(db)
    const data = new FormData()
    fill(data, () => data.append('file', new Blob([CONTENT]), 'notes.txt'))
    const { status, body } = await api.send('POST', '/files', { body: data })
    expect(status).toBe(200)
    expect(body).toMatchObject({ purpose: 'assistants', filename: 'notes.txt', sha256: SHA256 })
  })

  test('without a purpose is for a batch, without a name has none, and may be empty', async () => {
    const tenant = await newTenant(db)
    const { body } = await raw(tenant, '', undefined, '')
    expect(body).toMatchObject({ purpose: 'batch', filename: null, bytes: 0 })
    expect(body.sha256).toBe(createHash('sha256').digest('hex'))
    expect((await tenant.api.get(`/files/${body.id}/content`)).text).toBe('')
  })

  test('with an Authorization header counts as with x-api-key', async () => {
    const { secret } = await newTenant(db)
    const headers = { authorization: `Bearer ${secret}`, 'content-type': 'application/octet-stream' }
    expect((await rawRequest('POST', '/files', { headers, body: CONTENT })).status).toBe(200)
  })
})

describe('a hostile file name', () => {
  test.each([
    ['a path', '../../etc/passwd', 'passwd'],
    ["a path of Windows'", 'C:\\\\Windows\\\\system.ini', 'system.ini'],
    ['a folder', '/absolute/', null],
    ['the folder above', '..', null],
    ['control characters', 'a\u0000b\u001f\u007f.txt', 'ab.txt'],
    ['other scripts', 'naïve – 文件.jsonl', 'naïve – 文件.jsonl'],
    ['a thousand characters', 'x'.repeat(1_000), 'x'.repeat(255)],
  ])('of a form, %s, becomes a plain name', async (_, given, kept) => {
    const { api } = await newTenant(db)
    const { status, body } = await api.send('POST', '/files', form([filePart(given), purposePart('batch')]))
    expect(status).toBe(200)
    expect(body).toMatchObject({ filename: kept, storage_uri: `ipop://files/${body.id}` })
    const content = await api.get(`/files/${body.id}/content`)
    expect(content.status).toBe(200)
    expect(content.headers.get('content-disposition')).toBe(
      `attachment; filename*=UTF-8''${encodeURIComponent(kept ?? body.id)}`,
    )
  })

  test.each([
    ['a path', '..%2Fx'],
    ["a path of Windows'", 'a%5Cb'],
    ['a NUL', 'a%00b'],
    ['a line break', 'a%0d%0aSet-Cookie:x'],
    ['nothing', ''],
    ['256 characters', 'x'.repeat(256)],
  ])('of the query, %s, is refused', async (_, name) => {
    const tenant = await newTenant(db)
    expectError(await raw(tenant, `?filename=${name}`), 400, { param: 'filename' })
    expect((await tenant.api.get('/files')).body.data).toEqual([])
  })
})

describe('an upload that is refused', () => {
  test.each<[string, { headers: Record<string, string>; body: string }, number, string | undefined]>([
    ['another content type', { headers: { 'content-type': 'text/html' }, body: CONTENT }, 415, 'Content-Type'],
    ['an unknown purpose in a form', form([filePart('a'), purposePart('evil')]), 400, 'purpose'],
    ['a purpose of ours in a form', form([purposePart('batch_output'), filePart('a')]), 400, 'purpose'],
    ['a form without a file', form([purposePart('batch')]), 400, 'file'],
    ['a form whose file has another name', form([filePart('a').replace('"file"', '"upload"')]), 400, 'file'],
    ['a form without a boundary', { headers: { 'content-type': 'multipart/form-data' }, body: 'x' }, 400, undefined],
    [
      'a form that ends early',
      { ...form([]), body: form([filePart('a')]).body.replace('--edge--\r\n', '') },
      400,
      undefined,
    ],
    ['a form that is none', { ...form([]), body: 'nonsense' }, 400, undefined],
  ])('for %s leaves nothing', async (_, init, status, param) => {
    const { api, userId } = await newTenant(db)
    expectError(await api.send('POST', '/files', init), status, param === undefined ? {} : { param })
    expect((await db.query('SELECT 1 FROM files WHERE user_id = $1', [userId])).rows).toEqual([])
  })

  test('for want of a content type', async () => {
    const { secret } = await newTenant(db)
    const reply = await rawRequest('POST', '/files', { headers: { 'x-api-key': secret }, body: CONTENT })
    expectError(reply, 415, { param: 'Content-Type' })
  })
})

describe('the list', () => {
  test('pages from the newest to the oldest', async () => {
    const { api } = await newTenant(db)
    const ids: string[] = []
    for (const purpose of ['batch', 'vision', 'batch', 'user_data', 'batch']) {
      ids.unshift(await api.upload('x', `purpose=${purpose}`))
    }
    const page = async (query: string) => {
      const { body } = await api.get(`/files?${query}`)
      return { ids: (body.data as { id: string }[]).map(file => ids.indexOf(file.id)), more: body.has_more as boolean }
    }
    expect(await page('')).toEqual({ ids: [0, 1, 2, 3, 4], more: false })
    expect(await page('limit=2')).toEqual({ ids: [0, 1], more: true })
    expect(await page(`limit=2&after=${ids[1]}`)).toEqual({ ids: [2, 3], more: true })
    expect(await page(`limit=2&after=${ids[3]}`)).toEqual({ ids: [4], more: false })
    expect(await page(`limit=3&after=${ids[1]}`)).toEqual({ ids: [2, 3, 4], more: false })
    expect(await page('purpose=batch&limit=2')).toEqual({ ids: [0, 2], more: true })
    expect(await page('purpose=nothing')).toEqual({ ids: [], more: false })
    const { body } = await api.get('/files?limit=2')
    expect(body).toMatchObject({ object: 'list', first_id: ids[0], last_id: ids[1] })
    expect((await api.get('/files?purpose=nothing')).body).toMatchObject({ first_id: null, last_id: null })
  })
})

describe('deleting', () => {
  test('takes the file away, once', async () => {
    const tenant = await newTenant(db)
    const id = await tenant.api.upload(CONTENT)
    const deleted = await tenant.api.delete(`/files/${id}`)
    expect({ status: deleted.status, text: deleted.text }).toEqual({ status: 204, text: '' })
    for (const reply of [
      await tenant.api.delete(`/files/${id}`),
      await tenant.api.get(`/files/${id}`),
      await tenant.api.get(`/files/${id}/content`),
    ]) {
      expectError(reply, 404, { type: 'not_found', param: 'file_id' })
    }
    expect((await tenant.api.get('/files')).body.data).toEqual([])
    expect((await db.query('SELECT 1 FROM files WHERE id = $1', [id])).rows).toEqual([])
  })

  test('is refused while a running job reads the file', async () => {
    const { api } = await newTenant(db)
    const group = `delete-${UNKNOWN}-${Date.now()}`
    const batchId = await startBatch(api, [chatRow('a', fakePrompt({ group, hang: true }))])
    await waitForCalls(testStack().upstreamUrl, group, 1)
    const { body } = await api.get(`/batches/${batchId}`)
    const refused = await api.delete(`/files/${body.input_file_id}`)
    expectError(refused, 409, { code: 'bad_request', type: 'conflict', param: 'file_id' })
    expect(refused.headers.get('x-should-retry')).toBe('false')
    expect((await api.get(`/files/${body.input_file_id}`)).status).toBe(200)
    await api.post(`/batches/${batchId}/cancel`)
    expect((await untilEnded(api, batchId)).status).toBe('cancelled')
    expect((await api.delete(`/files/${body.input_file_id}`)).status).toBe(204)
  })
})
