import { createHash, type Hash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { peakRise } from '../../support/process-memory.ts'
import { rawRequest } from '../../support/raw-request.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const MIB = 1024 * 1024
const db = testDatabase()
// A process and a store of their own: what is measured and what is left behind is this file's alone.
let api: ApiProcess
let dataDir: string
beforeAll(async () => {
  dataDir = await mkdtemp(join(tmpdir(), 'ipop-transfers-'))
  api = await spawnApi({ DATA_DIR: dataDir })
})
afterAll(async () => {
  await api.stop()
  await rm(dataDir, { recursive: true, force: true })
})

const call = (tenant: Tenant, method: string, path: string, headers = {}, body?: Readable | string) =>
  rawRequest(method, path, {
    apiUrl: api.url,
    headers: { 'x-api-key': tenant.secret, ...headers },
    ...(body !== undefined && { body }),
  })
const upload = async (tenant: Tenant, content: string) =>
  (JSON.parse((await call(tenant, 'POST', '/files', { 'content-type': 'text/plain' }, content)).text) as { id: string })
    .id

/** Every file under the store's folder with its size. */
async function stored(): Promise<{ path: string; bytes: number }[]> {
  const entries = await readdir(join(dataDir, 'objects'), { recursive: true, withFileTypes: true })
  const paths = entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
  return Promise.all(paths.map(async path => ({ path, bytes: (await stat(path)).size })))
}
const rowsOf = async ({ userId }: Tenant) => (await db.query('SELECT id FROM files WHERE user_id = $1', [userId])).rows

describe('content with a Range', () => {
  const CONTENT = '0123456789'
  test.each<[string, string, string]>([
    ['bytes=0-3', '0123', 'bytes 0-3/10'],
    ['bytes=4-4', '4', 'bytes 4-4/10'],
    ['bytes=7-', '789', 'bytes 7-9/10'],
    ['bytes=-3', '789', 'bytes 7-9/10'],
    ['bytes=-100', CONTENT, 'bytes 0-9/10'],
    ['bytes=8-100', '89', 'bytes 8-9/10'],
    ['bytes=0-9', CONTENT, 'bytes 0-9/10'],
  ])('%s is that part', async (range, part, contentRange) => {
    const tenant = await newTenant(db)
    const reply = await call(tenant, 'GET', `/files/${await upload(tenant, CONTENT)}/content`, { range })
    expect({ status: reply.status, text: reply.text }).toEqual({ status: 206, text: part })
    expect(reply.headers).toMatchObject({ 'content-range': contentRange, 'content-length': String(part.length) })
  })

  test.each(['bytes=5-2', 'bytes=a-b', 'lines=0-3', 'bytes=0-1,3-4', 'bytes=-', 'bytes=', 'bytes=1e1-'])(
    '%s is passed over, as RFC 9110 says',
    async range => {
      const tenant = await newTenant(db)
      const reply = await call(tenant, 'GET', `/files/${await upload(tenant, CONTENT)}/content`, { range })
      expect({ status: reply.status, text: reply.text }).toEqual({ status: 200, text: CONTENT })
      expect(reply.headers['content-range']).toBeUndefined()
    },
  )

  test.each([
    ['bytes=10-', CONTENT],
    ['bytes=10-12', CONTENT],
    ['bytes=-0', CONTENT],
    ['bytes=0-', ''],
    ['bytes=-1', ''],
  ])('%s of %j lies outside', async (range, content) => {
    const tenant = await newTenant(db)
    const reply = await call(tenant, 'GET', `/files/${await upload(tenant, content)}/content`, { range })
    expectError(reply, 416, { type: 'range_not_satisfiable', param: 'Range' })
    expect(reply.headers['content-range']).toBe(`bytes */${content.length}`)
  })
})

describe('half an upload', () => {
  const EDGE = '--edge\r\nContent-Disposition: form-data; name='
  test.each([
    ['raw', 'content-type: text/plain\r\ncontent-length: 4000000', ''],
    [
      'as a form',
      'content-type: multipart/form-data; boundary=edge\r\ncontent-length: 4000000',
      `${EDGE}"purpose"\r\n\r\nbatch\r\n${EDGE}"file"; filename="a"\r\n\r\n`,
    ],
    ['raw, in chunks', 'content-type: text/plain\r\ntransfer-encoding: chunked', '1E8480\r\n'],
  ])('%s, leaves no file, no object and no row', async (_, headers, start) => {
    const tenant = await newTenant(db)
    const socket = await connected()
    socket.write(`POST /v1/files HTTP/1.1\r\nhost: x\r\nx-api-key: ${tenant.secret}\r\n${headers}\r\n\r\n${start}`)
    socket.write(Buffer.alloc(2_000_000, 'a'))
    await until(async () => (await stored()).some(file => file.bytes > 1_000_000))
    expect(await rowsOf(tenant)).toHaveLength(1)
    expect(JSON.parse((await call(tenant, 'GET', '/files')).text).data).toEqual([])
    socket.destroy()
    await until(async () => (await rowsOf(tenant)).length === 0)
    expect((await stored()).filter(file => file.bytes >= 1_000_000)).toEqual([])
  })

  async function connected(): Promise<Socket> {
    const socket = connect(Number(new URL(api.url).port), '127.0.0.1')
    await once(socket, 'connect')
    return socket
  }
})

describe('no object is left', () => {
  const marked = (marker: string) => `${marker}${'x'.repeat(100_000)}`
  const objects = async () => (await stored()).filter(file => file.bytes >= 100_000)

  test('of a file that is deleted', async () => {
    const tenant = await newTenant(db)
    const id = await upload(tenant, marked('deleted'))
    expect(await objects()).toHaveLength(1)
    expect((await call(tenant, 'DELETE', `/files/${id}`)).status).toBe(204)
    expect(await objects()).toEqual([])
  })

  test('of a form that turns out wrong behind its file', async () => {
    const tenant = await newTenant(db)
    const file = '--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
    const purpose = '\r\n--edge\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nevil\r\n--edge--\r\n'
    const headers = { 'content-type': 'multipart/form-data; boundary=edge' }
    const reply = await call(tenant, 'POST', '/files', headers, `${file}${marked('wrong')}${purpose}`)
    expectError(reply, 400, { param: 'purpose' })
    expect(await objects()).toEqual([])
    expect(await rowsOf(tenant)).toEqual([])
  })
})

describe('an upload that is too long', () => {
  test.each([
    ['raw', 'application/octet-stream', 512 * MIB + 1],
    ['as a form', 'multipart/form-data; boundary=edge', 514 * MIB],
  ])('%s, is refused by its Content-Length, before it comes', async (_, type, length) => {
    const tenant = await newTenant(db)
    const reply = await call(tenant, 'POST', '/files', { 'content-type': type, 'content-length': length }, endless())
    expectError(reply, 413, { code: 'bad_request', type: 'payload_too_large' })
    expect(await rowsOf(tenant)).toEqual([])
  })

  test('is stopped where it comes in chunks', async () => {
    const tenant = await newTenant(db)
    const reply = await call(tenant, 'POST', '/files', { 'content-type': 'text/plain' }, bytes(513 * MIB))
    expectError(reply, 413, { type: 'payload_too_large' })
    expect(await rowsOf(tenant)).toEqual([])
    expect((await stored()).filter(file => file.bytes >= MIB)).toEqual([])
  })

  /** A body that never comes. */
  const endless = () => new Readable({ read: () => undefined })
})

describe('200 MiB', () => {
  test('come and go without being held in memory', async () => {
    const tenant = await newTenant(db)
    const size = 200 * MIB
    const download = async (id: string) => {
      const reply = await fetch(`${api.url}/v1/files/${id}/content`, { headers: { 'x-api-key': tenant.secret } })
      const hash = createHash('sha256')
      for await (const part of reply.body ?? []) hash.update(part as Uint8Array)
      return hash.digest('hex')
    }
    const uploadAndDownload = async (type: string, body: Readable, hash: Hash, most: number) => {
      const reply = await call(tenant, 'POST', '/files', { 'content-type': type }, body)
      const file = JSON.parse(reply.text) as { id: string; bytes: number; sha256: string }
      expect({ status: reply.status, bytes: file.bytes }).toEqual({ status: 200, bytes: most })
      expect(file.sha256).toBe(hash.digest('hex'))
      expect(await download(file.id)).toBe(file.sha256)
      expect((await call(tenant, 'DELETE', `/files/${file.id}`)).status).toBe(204)
    }
    const both = async (most: number) => {
      const [raw, inForm] = [createHash('sha256'), createHash('sha256')]
      await uploadAndDownload('application/octet-stream', bytes(most, raw), raw, most)
      await uploadAndDownload('multipart/form-data; boundary=edge', form(bytes(most, inForm)), inForm, most)
    }
    // The first MiB warms the process up.
    await both(MIB)
    expect(await peakRise(api.pid, () => both(size))).toBeLessThan(64 * MIB)
  })

  function form(content: Readable): Readable {
    return Readable.from(
      (async function* () {
        yield '--edge\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n'
        yield* content
        yield '\r\n--edge\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--edge--\r\n'
      })(),
      { objectMode: false },
    )
  }
})

/** So many bytes, no two MiB of them alike, hashed on the way. */
function bytes(length: number, hash?: Hash): Readable {
  const part = Buffer.alloc(MIB, 'ipop')
  return Readable.from(
    (function* () {
      for (let sent = 0; sent < length; sent += part.length) {
        part.writeUInt32BE(sent / MIB, 0)
        hash?.update(part)
        yield Buffer.from(part)
      }
    })(),
    { objectMode: false },
  )
}
