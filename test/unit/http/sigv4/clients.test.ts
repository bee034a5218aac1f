import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  GetObjectCommand,
  HeadObjectCommand,
  PutObjectCommand,
  S3Client,
  type ChecksumAlgorithm,
} from '@aws-sdk/client-s3'
import { getSignedUrl } from '@aws-sdk/s3-request-presigner'
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { Client } from 'minio'
import { decodeText } from '../../../../api/http/auth/sigv4/encoding.ts'
import { SigV4Failure } from '../../../../api/http/auth/sigv4/failure.ts'
import { verifiedBody } from '../../../../api/http/auth/sigv4/payload.ts'
import { verifySigV4 } from '../../../../api/http/auth/sigv4/verify.ts'

const KEY = { accessKeyId: 'AKIPOP', secretAccessKey: randomBytes(30).toString('base64') }
const REGION = 'us-east-1'
const BUCKET = 'bucket'

const QUIET = Object.fromEntries(['debug', 'info', 'warn', 'error'].map(level => [level, () => undefined])) as never

/** The least of an S3 server: every request verified, objects in memory, and which forms of payload came. */
let server: Server
let port: number
const objects = new Map<string, Buffer>()
const forms = new Set<string>()
/** What a proxy in between makes of the body. */
let tamper: (bytes: Buffer) => Buffer = bytes => bytes

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const raw = { method: request.method ?? '', target: request.url ?? '', rawHeaders: request.rawHeaders }
  const findKey = async (id: string) =>
    id === KEY.accessKeyId ? { secret: KEY.secretAccessKey, principal: 'somebody' } : undefined
  const signed = await verifySigV4(raw, { region: REGION, service: 's3', now: () => new Date(), findKey })
  if (signed === undefined) throw new SigV4Failure('AccessDenied')
  forms.add(signed.payloadHash.replace(/^[0-9a-f]{64}$/, 'hash'))
  const key = decodeText(raw.target.split('?', 1)[0] ?? '').toString()
  if (raw.method === 'PUT') {
    const content = verifiedBody(raw, signed)
    const whole = tamper(await buffer(request))
    const [bytes] = await Promise.all([buffer(content), pipeline(Readable.from([whole]), content)])
    objects.set(key, bytes)
  }
  const stored = objects.get(key)
  if (stored === undefined) return void response.writeHead(404).end()
  const etag = `"${createHash('md5').update(stored).digest('hex')}"`
  response.writeHead(200, { etag, 'content-length': raw.method === 'PUT' ? 0 : stored.length })
  response.end(raw.method === 'GET' ? stored : undefined)
}

beforeAll(async () => {
  server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const code = error instanceof SigV4Failure ? error.awsCode : 'InternalError'
      response.writeHead(error instanceof SigV4Failure ? error.status : 500, { connection: 'close' })
      response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>x</Message></Error>`)
    })
  })
  // Under load a test may pause for longer than the 5 s after which an idle connection would be cut off.
  server.keepAliveTimeout = 0
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const KEYS = ['plain', 'a b+c', 'ü/é', 'x//y', "q'()*!@&=:;,$~", '100%', 'a%2Fb', 'ends/', '日本']

describe.each(['', '/v1/storage/s3'])("AWS's client at %j", prefix => {
  const client = (changes: object = {}) =>
    new S3Client({
      region: REGION,
      endpoint: `http://127.0.0.1:${port}${prefix}`,
      forcePathStyle: true,
      credentials: KEY,
      maxAttempts: 1,
      logger: QUIET,
      ...changes,
    })

  test.each(KEYS)('writes, reads and looks at %s', async Key => {
    const s3 = client()
    const Body = randomBytes(10_000)
    await s3.send(
      new PutObjectCommand({ Bucket: BUCKET, Key, Body, ContentType: 'text/plain', Metadata: { a: 'x  y' } }),
    )
    const got = await s3.send(new GetObjectCommand({ Bucket: BUCKET, Key, ResponseContentType: 'text/x y+z' }))
    expect(Buffer.from((await got.Body?.transformToByteArray()) ?? [])).toEqual(Body)
    expect((await s3.send(new HeadObjectCommand({ Bucket: BUCKET, Key }))).ContentLength).toBe(10_000)
    const link = await getSignedUrl(s3, new GetObjectCommand({ Bucket: BUCKET, Key }), { expiresIn: 60 })
    expect(Buffer.from(await (await fetch(link)).arrayBuffer())).toEqual(Body)
    expect((await fetch(link.replace('X-Amz-Expires=60', 'X-Amz-Expires=61'))).status).toBe(403)
  })

  test.each<ChecksumAlgorithm>(['CRC32', 'CRC32C', 'CRC64NVME', 'SHA1', 'SHA256'])(
    'is believed by its %s, in a header and in a trailer, and no other',
    async ChecksumAlgorithm => {
      const s3 = client()
      const bytes = randomBytes(300_000)
      const put = (Body: Buffer | Readable) =>
        s3.send(
          new PutObjectCommand({ Bucket: BUCKET, Key: 'sum', Body, ContentLength: bytes.length, ChecksumAlgorithm }),
        )
      await put(bytes)
      expect(objects.get(`${prefix}/bucket/sum`)).toEqual(bytes)
      objects.clear()
      await put(Readable.from([bytes.subarray(0, 1_000), bytes.subarray(1_000)]))
      expect(objects.get(`${prefix}/bucket/sum`)).toEqual(bytes)
      objects.clear()
      tamper = whole =>
        Buffer.concat([whole.subarray(0, 500), Buffer.from([(whole[500] as number) ^ 1]), whole.subarray(501)])
      try {
        await expect(put(Readable.from([bytes]))).rejects.toMatchObject({ name: 'BadDigest' })
        await expect(put(bytes)).rejects.toMatchObject({ name: expect.stringMatching(/BadDigest|SHA256Mismatch/) })
      } finally {
        tamper = bytes_ => bytes_
      }
      expect(objects.size).toBe(0)
    },
  )

  test('is refused with another secret, region and clock', async () => {
    const head = (changes: object) => client(changes).send(new GetObjectCommand({ Bucket: BUCKET, Key: 'plain' }))
    const credentials = { ...KEY, secretAccessKey: 'other' }
    await expect(head({ credentials })).rejects.toMatchObject({ name: 'SignatureDoesNotMatch' })
    await expect(head({ region: 'eu-west-1' })).rejects.toMatchObject({ name: 'AuthorizationHeaderMalformed' })
    await expect(head({ systemClockOffset: 16 * 60_000 })).rejects.toMatchObject({ name: 'RequestTimeTooSkewed' })
  })
})

describe("minio's client", () => {
  const client = () =>
    new Client({
      endPoint: '127.0.0.1',
      port,
      useSSL: false,
      accessKey: KEY.accessKeyId,
      secretKey: KEY.secretAccessKey,
      region: REGION,
    })

  test.each(KEYS)('writes and reads %s, by link too', async key => {
    const minio = client()
    const bytes = randomBytes(10_000)
    await minio.putObject(BUCKET, key, bytes)
    expect(await buffer(await minio.getObject(BUCKET, key))).toEqual(bytes)
    expect(Buffer.from(await (await fetch(await minio.presignedGetObject(BUCKET, key, 60))).arrayBuffer())).toEqual(
      bytes,
    )
    const link = await minio.presignedPutObject(BUCKET, key, 60)
    expect((await fetch(link, { method: 'PUT', body: 'by link' })).status).toBe(200)
    expect(objects.get(`/bucket/${key}`)?.toString()).toBe('by link')
  })
})

test('the clients sent every form of payload that they have over HTTP', () => {
  expect(forms).toEqual(new Set(['hash', 'UNSIGNED-PAYLOAD', 'STREAMING-UNSIGNED-PAYLOAD-TRAILER']))
})
