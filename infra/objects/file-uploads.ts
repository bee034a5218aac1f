import { createHash, randomUUID } from 'node:crypto'
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { Type, type Static } from 'typebox'
import { Value } from 'typebox/value'
import { chunksOf } from './body.ts'
import { hasCode, unlessMissing } from './file-errors.ts'
import { openObjectFile, readObjectFile, writeObjectFile, type FileInfo, type OpenObjectFile } from './object-file.ts'
import {
  MIN_PART_BYTES,
  ObjectStoreError,
  requireAscendingParts,
  requirePartNumber,
  type UploadedPart,
} from './store.ts'

const Upload = Type.Object({ key: Type.String(), contentType: Type.String() })
type Upload = Static<typeof Upload>
type PartOfUpload = Pick<UploadedPart, 'partNumber' | 'etag'>

const UPLOAD_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/**
 * Multipart uploads as folders: `<upload id>/upload.json` and one object file per part, named by its number.
 * A folder appears complete (made in the temporary folder, then renamed) and goes by being renamed back there,
 * so every other call finds all of it or nothing. Its modification time is that of its last part.
 */
export class FileUploads {
  readonly #folder: string
  readonly #temporary: string

  constructor(folder: string, temporary: string) {
    this.#folder = folder
    this.#temporary = temporary
  }

  async create(upload: Upload): Promise<string> {
    const uploadId = randomUUID()
    const made = join(this.#temporary, uploadId)
    await mkdir(made, { mode: 0o700 })
    await writeFile(join(made, 'upload.json'), JSON.stringify(upload), { mode: 0o600, flush: true })
    await rename(made, join(this.#folder, uploadId))
    return uploadId
  }

  /** Errors: UploadNotFound, also where the upload is another key's. */
  async require(key: string, uploadId: string): Promise<Upload> {
    const text = UPLOAD_ID.test(uploadId)
      ? await unlessMissing(readFile(join(this.#folder, uploadId, 'upload.json'), 'utf8'))
      : undefined
    const upload = text === undefined ? undefined : Value.Parse(Upload, JSON.parse(text))
    if (upload?.key !== key) throw uploadNotFound()
    return upload
  }

  async putPart(key: string, uploadId: string, partNumber: number, body: Readable | Uint8Array): Promise<UploadedPart> {
    requirePartNumber(partNumber)
    const { contentType } = await this.require(key, uploadId)
    const temporary = join(this.#temporary, randomUUID())
    const { etag, sizeBytes } = await writeObjectFile(temporary, chunksOf(body), contentType)
    try {
      await rename(temporary, join(this.#folder, uploadId, String(partNumber)))
    } catch (error) {
      await rm(temporary, { force: true })
      throw hasCode(error, 'ENOENT') ? uploadNotFound() : error
    }
    return { partNumber, etag, sizeBytes }
  }

  /** Writes the parts as one object file to `path`; its etag is S3's for parts: the MD5 of their MD5s, and their number. */
  async join(path: string, key: string, uploadId: string, parts: PartOfUpload[]): Promise<FileInfo> {
    requireAscendingParts(parts)
    const { contentType } = await this.require(key, uploadId)
    const digests = Buffer.concat(parts.map(part => Buffer.from(part.etag, 'hex')))
    const etag = `${createHash('md5').update(digests).digest('hex')}-${parts.length}`
    return writeObjectFile(path, this.#bytesOf(uploadId, parts), contentType, () => etag)
  }

  /** Takes the upload out of sight at once, then deletes it. Nothing happens where it is not there. */
  async remove(uploadId: string): Promise<void> {
    if (!UPLOAD_ID.test(uploadId)) return
    const obsolete = join(this.#temporary, randomUUID())
    await unlessMissing(rename(join(this.#folder, uploadId), obsolete))
    await rm(obsolete, { recursive: true, force: true })
  }

  async *#bytesOf(uploadId: string, parts: PartOfUpload[]): AsyncGenerator<Buffer> {
    for (const [i, part] of parts.entries()) {
      const file = await openObjectFile(join(this.#folder, uploadId, String(part.partNumber)))
      await requireGoodPart(file, part, i === parts.length - 1)
      if (file) yield* chunksOf(await readObjectFile(file.handle, 0, file.info.sizeBytes))
    }
  }
}

async function requireGoodPart(file: OpenObjectFile | undefined, part: PartOfUpload, isLast: boolean): Promise<void> {
  if (file?.info.etag === part.etag && (isLast || file.info.sizeBytes >= MIN_PART_BYTES)) return
  await file?.handle.close()
  const reason = file?.info.etag === part.etag ? 'is smaller than 5 MiB' : 'was not uploaded with that etag'
  throw new ObjectStoreError('InvalidPart', `part ${part.partNumber} ${reason}`)
}

function uploadNotFound(): ObjectStoreError {
  return new ObjectStoreError('UploadNotFound', 'there is no such upload of this key')
}
