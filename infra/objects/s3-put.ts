import type { S3Client } from './s3-client.ts'
import { unquoted } from './s3-replies.ts'
import type { S3Uploads } from './s3-uploads.ts'
import { DEFAULT_CONTENT_TYPE, type PutOptions, type UploadedPart } from './store.ts'

export interface PutTarget {
  client: S3Client
  uploads: S3Uploads
  bucket: string
  key: string
  options: PutOptions
}

interface Written {
  etag: string
  sizeBytes: number
}

/** In one request. Once it is on its way an abort comes too late: S3 could have the object in spite of it. */
export async function putWhole({ client, bucket, key, options }: PutTarget, bytes: Buffer): Promise<Written> {
  options.signal?.throwIfAborted()
  const headers = { 'content-type': options.contentType ?? DEFAULT_CONTENT_TYPE, ...conditions(options) }
  const request = { method: 'PUT', bucketName: bucket, objectName: key, headers }
  const response = await client.makeRequestAsyncOmit(request, bytes)
  return { etag: unquoted(response.headers.etag), sizeBytes: bytes.length }
}

/** One block after the other; whatever fails, the upload is aborted before the failure is told. */
export async function putInParts(target: PutTarget, first: Buffer, rest: AsyncIterable<Buffer>): Promise<Written> {
  const { uploads, key, options } = target
  const uploadId = await uploads.create(key, options.contentType ?? DEFAULT_CONTENT_TYPE)
  try {
    const parts = await putBlocks(target, uploadId, first, rest)
    options.signal?.throwIfAborted()
    const etag = await uploads.complete(key, uploadId, parts, conditions(options))
    return { etag, sizeBytes: parts.reduce((sum, part) => sum + part.sizeBytes, 0) }
  } catch (error) {
    await abortIfReachable(uploads, key, uploadId)
    throw error
  }
}

async function putBlocks(
  { uploads, key, options }: PutTarget,
  uploadId: string,
  first: Buffer,
  rest: AsyncIterable<Buffer>,
): Promise<UploadedPart[]> {
  const parts = [await uploads.putPart(key, uploadId, 1, first, options.signal)]
  for await (const block of rest) {
    parts.push(await uploads.putPart(key, uploadId, parts.length + 1, block, options.signal))
  }
  return parts
}

/** The failure that led here is the one to tell; where S3 cannot be reached, removeLeftovers finds the upload later. */
async function abortIfReachable(uploads: S3Uploads, key: string, uploadId: string): Promise<void> {
  await uploads.abort(key, uploadId).catch(() => undefined)
}

function conditions({ ifAbsent, ifMatch }: PutOptions): Record<string, string> {
  return {
    ...(ifAbsent ? { 'if-none-match': '*' } : {}),
    ...(ifMatch === undefined ? {} : { 'if-match': `"${ifMatch}"` }),
  }
}
