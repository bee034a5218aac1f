import { createHash } from 'node:crypto'
import { S3Client, type S3Connection } from './s3-client.ts'
import { codeOf } from './s3-errors.ts'
import { FIRST_UPLOADS, readUploads, type UnfinishedUpload } from './s3-listing.ts'
import { unquoted } from './s3-replies.ts'
import { spool } from './spool.ts'
import { ObjectStoreError, type UploadedPart } from './store.ts'

type PartOfUpload = Pick<UploadedPart, 'partNumber' | 'etag'>

/** S3's multipart calls, with what minio's own leave out: conditions, abort signals, and ids escaped in the query. */
export class S3Uploads {
  readonly #connection: S3Connection
  readonly #bucket: string
  readonly #client: S3Client

  constructor(connection: S3Connection, bucket: string) {
    this.#connection = connection
    this.#bucket = bucket
    this.#client = new S3Client(connection)
  }

  create(key: string, contentType: string): Promise<string> {
    return this.#client.initiateNewMultipartUpload(this.#bucket, key, { 'content-type': contentType })
  }

  async putPart(
    key: string,
    uploadId: string,
    partNumber: number,
    bytes: Buffer,
    signal?: AbortSignal,
  ): Promise<UploadedPart> {
    const client = signal ? new S3Client(this.#connection, { signal }) : this.#client
    const headers = { 'content-md5': createHash('md5').update(bytes).digest('base64') }
    const request = { ...this.#partRequest(key, uploadId, partNumber), headers }
    const response = await client.makeRequestAsyncOmit(request, bytes)
    return { partNumber, etag: unquoted(response.headers.etag), sizeBytes: bytes.length }
  }

  /** A part of unknown length and size goes through a temporary file: S3 wants length and hash first. */
  async putStreamedPart(
    key: string,
    uploadId: string,
    partNumber: number,
    chunks: AsyncIterable<Buffer>,
  ): Promise<UploadedPart> {
    const { sizeBytes, sha256, md5, body } = await spool(chunks)
    try {
      const headers = { 'content-md5': md5.toString('base64'), 'content-length': String(sizeBytes) }
      const request = { ...this.#partRequest(key, uploadId, partNumber), headers }
      const hash = this.#client.enableSHA256 ? sha256.toString('hex') : ''
      const response = await this.#client.makeRequestStreamAsync(request, body, hash, [200], '')
      response.resume()
      return { partNumber, etag: unquoted(response.headers.etag), sizeBytes }
    } finally {
      body.destroy()
    }
  }

  /** Resolves to the object's etag. `headers` may hold conditions. */
  async complete(
    key: string,
    uploadId: string,
    parts: PartOfUpload[],
    headers: Record<string, string> = {},
  ): Promise<string> {
    if (uploadId === '') throw new ObjectStoreError('UploadNotFound', 'there is no such upload of this key')
    const client = new S3Client(this.#connection, { headers })
    const joined = parts.map(({ partNumber, etag }) => ({ part: partNumber, etag }))
    const { etag } = await client.completeMultipartUpload(this.#bucket, key, uploadId, joined)
    return etag
  }

  /** Nothing happens where there is no such upload. */
  async abort(key: string, uploadId: string): Promise<void> {
    try {
      await this.#client.abortMultipartUpload(this.#bucket, key, encodeURIComponent(uploadId))
    } catch (error) {
      if (codeOf(error) !== 'NoSuchUpload') throw error
    }
  }

  /** Aborts the uploads that began longer ago than that, and tells how many they are. */
  async abortOld(ageMs: number): Promise<number> {
    const old: UnfinishedUpload[] = []
    for (let query: string | undefined = FIRST_UPLOADS; query !== undefined;) {
      const response = await this.#client.makeRequestAsync({ method: 'GET', bucketName: this.#bucket, query })
      const page = await readUploads(response)
      old.push(...page.uploads.filter(upload => Date.now() - upload.begunAt.getTime() > ageMs))
      query = page.next
    }
    for (const { key, uploadId } of old) await this.abort(key, uploadId)
    return old.length
  }

  #partRequest(key: string, uploadId: string, partNumber: number) {
    const query = `partNumber=${partNumber}&uploadId=${encodeURIComponent(uploadId)}`
    return { method: 'PUT', bucketName: this.#bucket, objectName: key, query }
  }
}
