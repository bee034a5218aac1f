import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { S3ObjectStore } from '../../../infra/objects/s3.ts'
import { S3Uploads } from '../../../infra/objects/s3-uploads.ts'
import { startS3Server, type S3Server } from '../../support/s3-server.ts'
import { until } from '../../support/until.ts'
import { bytesOf, patternStream } from './bodies.ts'

const CREDENTIALS = { region: 'us-east-1', accessKeyId: 'test', secretAccessKey: 'test-secret' }
const MIB = 1024 * 1024

describe('with a server', () => {
  let server: S3Server
  beforeAll(async () => {
    server = await startS3Server()
  }, 600_000)
  afterAll(() => server.stop())

  const connection = () => ({ ...CREDENTIALS, endpoint: server.endpoint })

  test('check makes the bucket where there is none, and is content where there is one', async () => {
    const store = new S3ObjectStore({ ...connection(), bucket: 'made-by-check' })
    await expect(store.put('key', Buffer.from('x'))).rejects.toMatchObject({ code: 'Unavailable' })
    await Promise.all([store.check(), store.check()])
    await store.check()
    await store.put('key', Buffer.from('x'))
    expect((await store.list({ prefix: '' })).objects.map(object => object.key)).toEqual(['key'])
  })

  test('wrong credentials are told, and not shown', async () => {
    const store = new S3ObjectStore({ ...connection(), bucket: 'bucket', secretAccessKey: 'wrong-secret' })
    const failure: unknown = await store.check().catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'Unavailable', message: expect.stringMatching(/refuses with \w+/) })
    expect(JSON.stringify(failure, Object.getOwnPropertyNames(failure))).not.toContain('wrong-secret')
  })

  test('old uploads are aborted', async () => {
    const store = new S3ObjectStore({ ...connection(), bucket: 'leftovers' })
    await store.check()
    const keys = ['a', 'b/c', 'b/%<&>', '007']
    for (const key of keys) await store.putPart(key, await store.createMultipartUpload(key), 1, Buffer.from('x'))
    const uploads = new S3Uploads({ ...connection(), idleTimeoutMs: 10_000 }, 'leftovers')
    expect(await store.removeLeftovers()).toBe(0)
    expect(await uploads.abortOld(-60_000)).toBe(keys.length)
    expect(await uploads.abortOld(-60_000)).toBe(0)
  })
})

describe('with a server that fails', () => {
  const servers: Server[] = []
  afterEach(() => {
    for (const server of servers.splice(0)) {
      server.closeAllConnections()
      server.close()
    }
  })

  async function storeOn(answer: RequestListener, idleTimeoutMs = 10_000): Promise<S3ObjectStore> {
    const server = createServer({ keepAliveTimeout: 50 }, answer).listen(0, '127.0.0.1')
    servers.push(server)
    await once(server, 'listening')
    const { port } = server.address() as AddressInfo
    return new S3ObjectStore({ ...CREDENTIALS, endpoint: `http://127.0.0.1:${port}`, bucket: 'bucket', idleTimeoutMs })
  }

  test('what can be sent again is, twice', async () => {
    const seen: string[] = []
    const store = await storeOn((request, response) => {
      seen.push(request.method ?? '')
      request.resume().on('end', () => answerWith(response, seen.length % 3 === 0 ? 200 : 503))
    })
    await store.put('key', Buffer.from('x'))
    await bytesOf((await store.get('key')).body)
    await store.delete('key')
    expect(seen).toEqual(['PUT', 'PUT', 'PUT', 'GET', 'GET', 'GET', 'DELETE', 'DELETE', 'DELETE'])
  })

  test('what could have worked already is sent once', async () => {
    let requests = 0
    const store = await storeOn((request, response) => {
      requests += 1
      request.resume().on('end', () => answerWith(response, 503))
    })
    const unavailable = { code: 'Unavailable' }
    await expect(store.put('key', Buffer.from('x'), { ifAbsent: true })).rejects.toMatchObject(unavailable)
    await expect(store.put('key', Buffer.from('x'), { ifMatch: 'x' })).rejects.toMatchObject(unavailable)
    await expect(store.createMultipartUpload('key')).rejects.toMatchObject(unavailable)
    expect(requests).toBe(3)
  })

  test('a refused connection is told as Unavailable', async () => {
    const store = await storeOn(() => undefined)
    servers[0]?.close()
    await expect(store.head('key')).rejects.toMatchObject({ code: 'Unavailable' })
  })

  test('silence ends the call', async () => {
    const store = await storeOn(request => request.resume(), 100)
    await expect(store.list({ prefix: '' })).rejects.toMatchObject({ code: 'Unavailable' })
  })

  test('failed replies free their connections', async () => {
    const store = await storeOn((request, response) => {
      request.resume().on('end', () => answerWith(response, 500, 'x'.repeat(16 * MIB)))
    })
    for (let i = 0; i < 3; i++) {
      await expect(store.createMultipartUpload('key')).rejects.toMatchObject({ code: 'Unavailable' })
    }
    await until(async () => (await connectionsOf(servers[0])) === 0)
    expect(await connectionsOf(servers[0])).toBe(0)
  })

  test('a body that stalls fails, one that is read slowly does not', async () => {
    const stalling = await storeOn((_, response) => {
      response.writeHead(200, { 'content-length': 1000 })
      response.write('some')
    }, 200)
    await expect(bytesOf((await stalling.get('key')).body)).rejects.toMatchObject({ code: 'ETIMEDOUT' })

    const serving = await storeOn((_, response) => {
      response.writeHead(200, { 'content-length': 16 * MIB })
      patternStream(16 * MIB).pipe(response)
    }, 2_000)
    const { body } = await serving.get('key')
    await once(body, 'readable')
    const idleSince = Date.now()
    await until(() => Date.now() - idleSince > 2_500)
    expect(await bytesOf(body)).toHaveLength(16 * MIB)
  })

  test('a whole object is not taken for a range of it', async () => {
    const store = await storeOn((_, response) => answerWith(response, 200, 'all of it'))
    const reading = store.get('key', { range: { start: 4, end: 5 } })
    await expect(reading).rejects.toMatchObject({ code: 'RangeNotSatisfiable' })
    expect(await connectionsOf(servers[0])).toBeLessThanOrEqual(1)
  })

  test('a body that is cut off fails', async () => {
    const store = await storeOn((_, response) => {
      response.writeHead(200, { 'content-length': 1000 })
      response.write('some', () => response.destroy())
    })
    await expect(bytesOf((await store.get('key')).body)).rejects.toMatchObject({ code: 'ECONNRESET' })
  })

  test('aborting ends a part that is on its way', async () => {
    const seen: string[] = []
    const abort = new AbortController()
    const store = await storeOn((request, response) => {
      seen.push(callOf(request))
      if (request.method === 'PUT') abort.abort(new Error('enough'))
      else answerUpload(request.resume(), response)
    })
    const put = store.put('key', patternStream(20 * MIB), { signal: abort.signal })
    await expect(put).rejects.toThrow('enough')
    expect(seen).toEqual(['POST uploads', 'PUT part', 'DELETE upload'])
  })

  test('an upload whose part fails is aborted, and the part’s failure is told', async () => {
    const seen: string[] = []
    const store = await storeOn((request, response) => {
      seen.push(callOf(request))
      request.resume().on('end', () => answerUpload(request, response))
    })
    const body = patternStream(20 * MIB)
    await expect(store.put('key', body)).rejects.toMatchObject({ code: 'Unavailable' })
    await until(() => body.destroyed)
    expect(seen).toEqual(['POST uploads', ...Array<string>(3).fill('PUT part'), 'DELETE upload'])
  })
})

function callOf(request: IncomingMessage): string {
  const { searchParams } = new URL(request.url ?? '', 'http://host')
  if (searchParams.has('uploads')) return `${request.method} uploads`
  return `${request.method} ${searchParams.has('partNumber') ? 'part' : 'upload'}`
}

/** Begins uploads, aborts them, and takes no part. */
function answerUpload(request: IncomingMessage, response: ServerResponse): void {
  const begun = '<InitiateMultipartUploadResult><UploadId>id</UploadId></InitiateMultipartUploadResult>'
  if (request.method === 'POST') answerWith(response, 200, begun)
  else answerWith(response, request.method === 'DELETE' ? 204 : 500)
}

function answerWith(response: ServerResponse, status: number, text = ''): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(text) }).end(text)
}

async function connectionsOf(server: Server | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    server?.getConnections((error, count) => (error ? reject(error) : resolve(count)))
  })
}
