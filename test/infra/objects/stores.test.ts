import { randomBytes } from 'node:crypto'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'minio'
import { openObjectStore } from '../../../infra/objects/open.ts'
import { verifySignedUrl } from '../../../infra/objects/signed-url.ts'
import type { ObjectStore } from '../../../infra/objects/store.ts'
import { startS3Server, type S3Server } from '../../support/s3-server.ts'
import { textOf } from './bodies.ts'
import type { StoreUnderTest } from './store-under-test.ts'
import { objectStoreSuite } from './suite.ts'

const PUBLIC_URL = 'http://127.0.0.1:1'

objectStoreSuite('file system', async (): Promise<StoreUnderTest> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ipop-objects-'))
  const signingKey = randomBytes(32)
  const store = openObjectStore({ dataDir, s3: undefined, publicUrl: PUBLIC_URL }, signingKey)
  const folders = ['temporary', 'uploads', 'locks'].map(name => join(dataDir, 'objects', name))
  return {
    store,
    nestsKeys: true,
    decidesRaces: true,
    leftovers: async () => (await Promise.all(folders.map(folder => readdir(folder)))).flat(),
    callSigned: (method, url, body) => answerSigned(store, signingKey, method, url, body),
    close: () => rm(dataDir, { recursive: true }),
  }
})

objectStoreSuite('S3', async (): Promise<StoreUnderTest> => {
  const server = await startS3Server()
  const { endpoint, region, accessKeyId, secretAccessKey } = server
  const s3 = { endpoint, region, accessKeyId, secretAccessKey, bucket: 'objects' }
  return {
    store: openObjectStore({ dataDir: '/nowhere', s3, publicUrl: PUBLIC_URL }, randomBytes(32)),
    nestsKeys: false,
    decidesRaces: false,
    leftovers: () => unfinishedUploads(server, s3.bucket),
    callSigned: async (method, url, body) => {
      const reply = await fetch(url, { method, ...(body === undefined ? {} : { body }) })
      return { status: reply.status, text: await reply.text() }
    },
    close: () => server.stop(),
  }
})

/** What a route makes of a signed URL. */
async function answerSigned(store: ObjectStore, signingKey: Buffer, method: string, url: string, body = '') {
  const { pathname, searchParams } = new URL(url)
  const key = decodeURIComponent(pathname.slice('/v1/objects/'.length))
  const query = { expires: Number(searchParams.get('expires')), signature: searchParams.get('signature') ?? '' }
  if (!verifySignedUrl(signingKey, method, key, query)) return { status: 403, text: '' }
  if (method === 'PUT') await store.put(key, Buffer.from(body))
  return { status: 200, text: method === 'GET' ? await textOf((await store.get(key)).body) : '' }
}

async function unfinishedUploads(server: S3Server, bucket: string): Promise<string[]> {
  const { hostname, port } = new URL(server.endpoint)
  const { accessKeyId: accessKey, secretAccessKey: secretKey, region } = server
  const client = new Client({ endPoint: hostname, port: Number(port), useSSL: false, accessKey, secretKey, region })
  const { uploads } = await client.listIncompleteUploadsQuery(bucket, '', '', '', '')
  return uploads.map(upload => String(upload.key))
}
