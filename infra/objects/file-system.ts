import { randomUUID } from 'node:crypto'
import { link, mkdir, rename, rm, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { addAbortSignal, type Readable } from 'node:stream'
import { chunksOf } from './body.ts'
import { hasCode, unlessMissing } from './file-errors.ts'
import { oldEntries, removeOld } from './file-leftovers.ts'
import { keysInOrder } from './file-listing.ts'
import { FileLocks, type AssertHeld } from './file-lock.ts'
import { objectPath } from './file-paths.ts'
import { placeFile, removeEmptyFolders } from './file-publish.ts'
import { FileUploads } from './file-uploads.ts'
import { copyObjectFile, objectFileInfo, openObjectFile, readObjectFile, writeObjectFile } from './object-file.ts'
import * as store from './store.ts'

/**
 * An ObjectStore in a folder: `objects/` (file-paths.ts, object-file.ts), `uploads/` (file-uploads.ts), `locks/`
 * (file-lock.ts) and `temporary/`, where everything is written before it is moved to its place in one system call.
 *
 * What is guaranteed, within a process and between processes on one machine, also over kill -9 and power cuts:
 * an object that a put resolved for is on disk; a key holds a whole object or none; of several `ifAbsent` puts exactly
 * one wins, by link(2) alone. Every change of a key happens under its lock, which is what makes `ifMatch` atomic:
 * exactly within a process, and between processes unless one of them is stopped for 10 s (see file-lock.ts).
 */
export class FileSystemObjectStore implements store.ObjectStore {
  readonly #objects: string
  readonly #temporary: string
  readonly #uploadsFolder: string
  readonly #locksFolder: string
  readonly #uploads: FileUploads
  readonly #locks: FileLocks
  #ready: Promise<void> | undefined

  /** `root` is absolute, and made if missing: a folder of one machine's file system with hard links. */
  constructor(root: string) {
    this.#objects = join(root, 'objects')
    this.#temporary = join(root, 'temporary')
    this.#uploadsFolder = join(root, 'uploads')
    this.#locksFolder = join(root, 'locks')
    this.#uploads = new FileUploads(this.#uploadsFolder, this.#temporary)
    this.#locks = new FileLocks(this.#locksFolder)
  }

  async put(key: string, body: Readable | Uint8Array, options: store.PutOptions = {}): Promise<store.ObjectInfo> {
    const { contentType = store.DEFAULT_CONTENT_TYPE, signal } = options
    store.requireContentType(contentType)
    const path = this.#path(key)
    await this.#requirePrecondition(path, options)
    return this.#withTemporary(async temporary => {
      const info = await untilAborted(writeObjectFile(temporary, chunksOf(body, signal), contentType), signal)
      await this.#locks.withLock(key, assertHeld => this.#publish(temporary, path, assertHeld, options))
      return { key, ...info }
    })
  }

  async get(key: string, { range, signal }: store.GetOptions = {}): Promise<store.ObjectReading> {
    if (range) store.requireByteRange(range)
    signal?.throwIfAborted()
    const file = await openObjectFile(this.#path(key))
    if (!file) throw objectNotFound(key)
    const { sizeBytes } = file.info
    if (range && range.start >= sizeBytes) {
      await file.handle.close()
      throw new store.ObjectStoreError('RangeNotSatisfiable', `the object has ${sizeBytes} bytes`)
    }
    const end = Math.min(range?.end ?? sizeBytes, sizeBytes - 1) + 1
    const body = await readObjectFile(file.handle, range?.start ?? 0, end)
    if (signal) addAbortSignal(signal, body)
    return { info: { key, ...file.info }, body }
  }

  async head(key: string): Promise<store.ObjectInfo | undefined> {
    const info = await objectFileInfo(this.#path(key))
    return info && { key, ...info }
  }

  async delete(key: string): Promise<void> {
    const path = this.#path(key)
    await this.#prepare()
    await this.#locks.withLock(key, async assertHeld => {
      await assertHeld()
      await unlessMissing(unlink(path))
      await removeEmptyFolders(dirname(path), this.#objects)
    })
  }

  async copy(fromKey: string, toKey: string): Promise<store.ObjectInfo> {
    const from = this.#path(fromKey)
    const to = this.#path(toKey)
    return this.#withTemporary(async temporary => {
      const info = await copyObjectFile(from, temporary)
      if (!info) throw objectNotFound(fromKey)
      await this.#locks.withLock(toKey, assertHeld => this.#publish(temporary, to, assertHeld))
      return { key: toKey, ...info }
    })
  }

  async list({ prefix, after = '', limit = 1000 }: store.ListOptions): Promise<store.ObjectPage> {
    const objects: store.ListedObject[] = []
    for await (const { key, path } of keysInOrder(this.#objects, prefix, after)) {
      if (objects.length >= limit) return { objects, hasMore: true }
      const info = await objectFileInfo(path)
      if (info) objects.push({ key, sizeBytes: info.sizeBytes, etag: info.etag, modifiedAt: info.modifiedAt })
    }
    return { objects, hasMore: false }
  }

  async createMultipartUpload(key: string, contentType = store.DEFAULT_CONTENT_TYPE): Promise<string> {
    store.requireObjectKey(key)
    store.requireContentType(contentType)
    await this.#prepare()
    return this.#uploads.create({ key, contentType })
  }

  async putPart(
    key: string,
    uploadId: string,
    partNumber: number,
    body: Readable | Uint8Array,
  ): Promise<store.UploadedPart> {
    store.requireObjectKey(key)
    return this.#uploads.putPart(key, uploadId, partNumber, body)
  }

  async completeMultipartUpload(
    key: string,
    uploadId: string,
    parts: Pick<store.UploadedPart, 'partNumber' | 'etag'>[],
  ): Promise<store.ObjectInfo> {
    const path = this.#path(key)
    return this.#withTemporary(async temporary => {
      const info = await this.#uploads.join(temporary, key, uploadId, parts)
      await this.#locks.withLock(key, async assertHeld => {
        await this.#uploads.require(key, uploadId)
        await this.#publish(temporary, path, assertHeld)
        await this.#uploads.remove(uploadId)
      })
      return { key, ...info }
    })
  }

  async abortMultipartUpload(key: string, uploadId: string): Promise<void> {
    store.requireObjectKey(key)
    try {
      await this.#uploads.require(key, uploadId)
    } catch (error) {
      if (error instanceof store.ObjectStoreError && error.code === 'UploadNotFound') return
      throw error
    }
    await this.#uploads.remove(uploadId)
  }

  async signedUrl(key: string, options: store.SignedUrlOptions): Promise<undefined> {
    store.requireObjectKey(key)
    store.requireLinkLifetime(options.expiresInSeconds)
  }

  async check(): Promise<void> {
    await this.#withTemporary(async temporary => {
      await writeObjectFile(temporary, chunksOf(Buffer.from('check')), store.DEFAULT_CONTENT_TYPE)
      await link(temporary, `${temporary}.link`)
      await rm(`${temporary}.link`)
    })
  }

  async removeLeftovers(): Promise<number> {
    await this.#prepare()
    const old = await oldEntries(this.#uploadsFolder)
    for (const uploadId of old) await this.#uploads.remove(uploadId)
    return old.length + (await removeOld(this.#temporary)) + (await removeOld(this.#locksFolder))
  }

  #path(key: string): string {
    store.requireObjectKey(key)
    return objectPath(this.#objects, key)
  }

  #prepare(): Promise<void> {
    this.#ready ??= this.#makeFolders()
    return this.#ready
  }

  async #makeFolders(): Promise<void> {
    try {
      for (const folder of [this.#objects, this.#temporary, this.#uploadsFolder, this.#locksFolder]) {
        await mkdir(folder, { recursive: true, mode: 0o700 })
      }
    } catch (error) {
      this.#ready = undefined
      throw error
    }
  }

  async #withTemporary<T>(action: (path: string) => Promise<T>): Promise<T> {
    await this.#prepare()
    const path = join(this.#temporary, randomUUID())
    try {
      return await action(path)
    } finally {
      await rm(path, { force: true })
    }
  }

  async #publish(from: string, to: string, assertHeld: AssertHeld, options: store.PutOptions = {}): Promise<void> {
    await this.#requirePrecondition(to, options)
    await assertHeld()
    try {
      await placeFile(from, to, options.ifAbsent ? link : rename)
    } catch (error) {
      if (options.ifAbsent && hasCode(error, 'EEXIST')) throw preconditionFailed()
      throw error
    }
  }

  async #requirePrecondition(path: string, { ifAbsent, ifMatch }: store.PutOptions): Promise<void> {
    if (!ifAbsent && ifMatch === undefined) return
    const found = await objectFileInfo(path)
    if (ifAbsent && found) throw preconditionFailed()
    if (ifMatch !== undefined && found?.etag !== ifMatch) throw preconditionFailed()
  }
}

async function untilAborted<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  try {
    return await work
  } finally {
    signal?.throwIfAborted()
  }
}

function objectNotFound(key: string): store.ObjectStoreError {
  return new store.ObjectStoreError('ObjectNotFound', `there is no object ${key}`)
}

function preconditionFailed(): store.ObjectStoreError {
  return new store.ObjectStoreError('PreconditionFailed', 'the object is not as the condition says')
}
