import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Client } from 'minio'
import { openObjectStore } from '../../../infra/objects/open.ts'
import { startS3Server, type S3Server } from '../../support/s3-server.ts'
import type { StoreUnderTest } from './store-under-test.ts'
import { signedUrlTests } from './suite-signed.ts'
import { objectStoreSuite } from './suite.ts'

objectStoreSuite('file system', async (): Promise<StoreUnderTest> => {
  const dataDir = await mkdtemp(join(tmpdir(), 'ipop-objects-'))
  const store = openObjectStore({ dataDir, s3: undefined })
  const folders = ['temporary', 'uploads', 'locks'].map(name => join(dataDir, 'objects', name))
  return {
    store,
    nestsKeys: true,
    decidesRaces: true,
    leftovers: async () => (await Promise.all(folders.map(folder => readdir(folder)))).flat(),
    close: () => rm(dataDir, { recursive: true }),
  }
})

objectStoreSuite(
  'S3',
  async (): Promise<StoreUnderTest> => {
    const server = await startS3Server()
    const { endpoint, region, accessKeyId, secretAccessKey } = server
    const s3 = { endpoint, region, accessKeyId, secretAccessKey, bucket: 'objects' }
    return {
      store: openObjectStore({ dataDir: '/nowhere', s3 }),
      nestsKeys: false,
      decidesRaces: false,
      leftovers: () => unfinishedUploads(server, s3.bucket),
      callSigned: async (method, url, body) => {
        const reply = await fetch(url, { method, ...(body === undefined ? {} : { body }) })
        return { status: reply.status, text: await reply.text() }
      },
      close: () => server.stop(),
    }
  },
  [signedUrlTests],
)

async function unfinishedUploads(server: S3Server, bucket: string): Promise<string[]> {
  const { hostname, port } = new URL(server.endpoint)
  const { accessKeyId: accessKey, secretAccessKey: secretKey, region } = server
  const client = new Client({ endPoint: hostname, port: Number(port), useSSL: false, accessKey, secretKey, region })
  const { uploads } = await client.listIncompleteUploadsQuery(bucket, '', '', '', '')
  return uploads.map(upload => String(upload.key))
}
