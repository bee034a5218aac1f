import { randomUUID } from 'node:crypto'
import { addAbortSignal, type Readable } from 'node:stream'
import { blocksOf, chunksOf } from './body.ts'
import { S3Client, type S3Connection } from './s3-client.ts'
import { codeOf, storeError } from './s3-errors.ts'
import { listQuery, readListing } from './s3-listing.ts'
import { putInParts, putWhole } from './s3-put.ts'
import { infoOf } from './s3-replies.ts'
import { S3Uploads } from './s3-uploads.ts'
import * as store from './store.ts'

export interface S3Options extends Omit<S3Connection, 'idleTimeoutMs'> {
  bucket: string
  /** 120,000 unless told. */
  idleTimeoutMs?: number
}

/** A put holds one block in memory; objects up to 10,000 blocks (78 GiB) fit. */
const BLOCK_BYTES = 8 * 1024 * 1024
const MAX_COPY_BYTES = 5 * 1024 ** 3

/**
 * An ObjectStore in a bucket of S3 or of a server like it. It must know conditional writes (If-None-Match, If-Match;
 * RFC 9110 section 13.1) on PutObject and CompleteMultipartUpload.
 *
 * minio's `putObject` is not used: it resumes whatever unfinished upload of the same key it finds, mixing two uploads
 * that run at once; it does not notice when the source fails; it leaves its upload behind on errors.
 */
export class S3ObjectStore implements store.ObjectStore {
  readonly #connection: S3Connection
  readonly #bucket: string
  readonly #client: S3Client
  readonly #uploads: S3Uploads

  constructor({ bucket, idleTimeoutMs = 120_000, ...connection }: S3Options) {
    this.#connection = { ...connection, idleTimeoutMs }
    this.#bucket = bucket
    this.#client = new S3Client(this.#connection)
    this.#uploads = new S3Uploads(this.#connection, bucket)
  }

  async put(key: string, body: Readable | Uint8Array, options: store.PutOptions = {}): Promise<store.ObjectInfo> {
    const { contentType = store.DEFAULT_CONTENT_TYPE, signal } = options
    store.requireObjectKey(key)
    store.requireContentType(contentType)
    return mapped(
      async () => {
        const blocks = blocksOf(chunksOf(body, signal), BLOCK_BYTES)
        try {
          const first = (await blocks.next()).value as Buffer
          const written = await this.#putBlocks(key, first, blocks, options)
          return { key, contentType, modifiedAt: new Date(), ...written }
        } finally {
          await blocks.return(undefined)
        }
      },
      signal,
      body,
    )
  }

  async get(key: string, { range, signal }: store.GetOptions = {}): Promise<store.ObjectReading> {
    store.requireObjectKey(key)
    if (range) store.requireByteRange(range)
    return mapped(async () => {
      const headers = range ? { range: `bytes=${range.start}-${range.end ?? ''}` } : {}
      const client = signal ? new S3Client(this.#connection, { signal }) : this.#client
      const request = { method: 'GET', bucketName: this.#bucket, objectName: key, headers }
      const body = await client.makeRequestAsync(request, '', [200, 206])
      if (range && body.statusCode === 200) {
        body.destroy()
        throw new store.ObjectStoreError('RangeNotSatisfiable', 'the object store gave no range')
      }
      if (signal) addAbortSignal(signal, body)
      return { info: infoOf(key, body.headers), body }
    }, signal)
  }

  async head(key: string): Promise<store.ObjectInfo | undefined> {
    store.requireObjectKey(key)
    try {
      return await mapped(async () => {
        const request = { method: 'HEAD', bucketName: this.#bucket, objectName: key }
        const response = await this.#client.makeRequestAsyncOmit(request)
        return infoOf(key, response.headers)
      })
    } catch (error) {
      if (isStoreError(error, 'ObjectNotFound')) return undefined
      throw error
    }
  }

  async delete(key: string): Promise<void> {
    store.requireObjectKey(key)
    try {
      await mapped(() => this.#client.removeObject(this.#bucket, key))
    } catch (error) {
      if (!isStoreError(error, 'ObjectNotFound')) throw error
    }
  }

  async copy(fromKey: string, toKey: string): Promise<store.ObjectInfo> {
    store.requireObjectKey(toKey)
    const from = await this.#require(fromKey)
    if (fromKey === toKey) return from
    if (from.sizeBytes > MAX_COPY_BYTES) {
      const { info, body } = await this.get(fromKey)
      return this.put(toKey, body, { contentType: info.contentType })
    }
    await mapped(() => this.#client.copyObject(this.#bucket, toKey, `/${this.#bucket}/${fromKey}`))
    return this.#require(toKey)
  }

  async list({ prefix, after = '', limit = 1000 }: store.ListOptions): Promise<store.ObjectPage> {
    const objects: store.ListedObject[] = []
    let hasMore = true
    while (hasMore && objects.length < limit) {
      const query = listQuery(prefix, objects.at(-1)?.key ?? after, Math.min(limit - objects.length, 1000))
      const page = await mapped(async () =>
        readListing(await this.#client.makeRequestAsync({ method: 'GET', bucketName: this.#bucket, query })),
      )
      objects.push(...page.objects)
      hasMore = page.isTruncated
    }
    return { objects, hasMore }
  }

  async createMultipartUpload(key: string, contentType = store.DEFAULT_CONTENT_TYPE): Promise<string> {
    store.requireObjectKey(key)
    store.requireContentType(contentType)
    return mapped(() => this.#uploads.create(key, contentType))
  }

  async putPart(
    key: string,
    uploadId: string,
    partNumber: number,
    body: Readable | Uint8Array,
  ): Promise<store.UploadedPart> {
    store.requireObjectKey(key)
    store.requirePartNumber(partNumber)
    return mapped(() => this.#uploads.putStreamedPart(key, uploadId, partNumber, chunksOf(body)), undefined, body)
  }

  async completeMultipartUpload(
    key: string,
    uploadId: string,
    parts: Pick<store.UploadedPart, 'partNumber' | 'etag'>[],
  ): Promise<store.ObjectInfo> {
    store.requireObjectKey(key)
    store.requireAscendingParts(parts)
    await mapped(() => this.#uploads.complete(key, uploadId, parts))
    return this.#require(key)
  }

  async abortMultipartUpload(key: string, uploadId: string): Promise<void> {
    store.requireObjectKey(key)
    await mapped(() => this.#uploads.abort(key, uploadId))
  }

  async signedUrl(key: string, { method, expiresInSeconds }: store.SignedUrlOptions): Promise<string> {
    store.requireObjectKey(key)
    store.requireLinkLifetime(expiresInSeconds)
    return this.#client.presignedUrl(method, this.#bucket, key, expiresInSeconds)
  }

  /** Creates the bucket where it is missing, and tries it out. */
  async check(): Promise<void> {
    await mapped(() => this.#ensureBucket())
    const key = `check/${randomUUID()}`
    await this.put(key, Buffer.from('check'))
    await this.delete(key)
  }

  async removeLeftovers(): Promise<number> {
    return mapped(() => this.#uploads.abortOld(store.LEFTOVER_AGE_MS))
  }

  async #ensureBucket(): Promise<void> {
    if (await this.#client.bucketExists(this.#bucket)) return
    try {
      await this.#client.makeBucket(this.#bucket, this.#connection.region)
    } catch (error) {
      if (codeOf(error) !== 'BucketAlreadyOwnedByYou') throw error
    }
  }

  async #putBlocks(key: string, first: Buffer, rest: AsyncIterable<Buffer>, options: store.PutOptions) {
    const target = { client: this.#client, uploads: this.#uploads, bucket: this.#bucket, key, options }
    try {
      if (first.length < BLOCK_BYTES) return await putWhole(target, first)
      await this.#requirePrecondition(key, options)
      return await putInParts(target, first, rest)
    } catch (error) {
      const isMissing = options.ifMatch !== undefined && isStoreError(storeError(error), 'ObjectNotFound')
      throw isMissing ? preconditionFailed() : error
    }
  }

  /** Spares the upload of what S3 would refuse at its end. */
  async #requirePrecondition(key: string, { ifAbsent, ifMatch }: store.PutOptions): Promise<void> {
    if (!ifAbsent && ifMatch === undefined) return
    const found = await this.head(key)
    if ((ifAbsent && found) || (ifMatch !== undefined && found?.etag !== ifMatch)) throw preconditionFailed()
  }

  async #require(key: string): Promise<store.ObjectInfo> {
    const info = await this.head(key)
    if (info) return info
    throw new store.ObjectStoreError('ObjectNotFound', `there is no object ${key}`)
  }
}

/** What the body's own stream failed with is told as it is: a client that hung up is no failure of the store. */
async function mapped<T>(call: () => Promise<T>, signal?: AbortSignal, body?: Readable | Uint8Array): Promise<T> {
  try {
    return await call()
  } catch (error) {
    signal?.throwIfAborted()
    if (body && 'errored' in body && body.errored === error) throw error
    throw storeError(error)
  }
}

function isStoreError(error: unknown, code: store.ObjectErrorCode): boolean {
  return error instanceof store.ObjectStoreError && error.code === code
}

function preconditionFailed(): store.ObjectStoreError {
  return new store.ObjectStoreError('PreconditionFailed', 'the object is not as the condition says')
}
