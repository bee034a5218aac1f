import { createHash } from 'node:crypto'
import { pipeline, Transform, type Readable } from 'node:stream'
import { callbackify } from 'node:util'
import type { ByteRange, ObjectStore } from '../../../infra/objects/store.ts'
import { inTransaction, type Database, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import { badRequest, conflict, DomainError, notFound } from '../../core/errors.ts'
import { appendEvent } from '../../durable/outbox/events.service.ts'
import { isId, newId } from '../../core/ids.ts'
import { openJobReading } from '../../durable/jobs/jobs.service.ts'
import { idCursor, listView, readPage } from '../../core/pages.ts'
import { asObjectFailure } from '../../tenancy/storage/object-failures.ts'
import type { RequireStorage } from '../../tenancy/storage/storage.service.ts'
import type { Caller, Owner } from '../../core/caller.rules.ts'
import { unixSeconds } from '../../core/time-window.rules.ts'
import type { FileList, FileObject, ListFilesQuery } from './file.schema.ts'
import {
  deleteFileRow,
  insertUploading,
  selectFile,
  selectFileForDelete,
  selectFileForUse,
  selectFiles,
  selectLeftovers,
  setDeleting,
  setReady,
  setUploadedBytes,
  type FileRow,
} from './file.sql.ts'

interface Deps {
  db: Database
  objects: ObjectStore
}

export const FILE_LIMIT_BYTES = 512 * 1024 * 1024
const DEFAULT_PAGE = 100
const SWEEP_LIMIT = 100

/** An object that is stored whole but that nobody can see before its file is published. */
export interface WrittenFile {
  id: string
  bytes: number
  sha256: string
}

/**
 * Streams bytes into the store under a new file id. Publish it in a transaction to make it a file; what is never
 * published is swept after a day. Failing leaves nothing. What has come is counted as it comes, and `mayGoOn` asked.
 * Errors: 413; what the body or `mayGoOn` fails with.
 */
export async function writeFile(
  deps: Deps,
  owner: Owner,
  body: Readable,
  options: { signal?: AbortSignal; limitBytes?: number; mayGoOn?: () => Promise<void> } = {},
): Promise<WrittenFile> {
  const { signal, limitBytes = Number.POSITIVE_INFINITY, mayGoOn } = options
  const id = newId('file')
  const objectKey = objectKeyOf(id)
  await insertUploading(deps.db, owner, id, objectKey)
  try {
    const counted = async (bytes: number) => {
      await setUploadedBytes(deps.db, id, bytes)
      await mayGoOn?.()
    }
    const meter = meteredHash(limitBytes, counted)
    const metered = pipeline(body, meter.stream, () => undefined)
    await deps.objects.put(objectKey, metered, { contentType: 'application/octet-stream', ...(signal && { signal }) })
    return { id, ...meter.result() }
  } catch (error) {
    await discardQuietly(deps, id)
    throw error
  }
}

/** Makes a written file visible. */
export async function publishFile(
  tx: Transaction,
  written: WrittenFile,
  details: { purpose: string; filename: string | null },
): Promise<FileRow> {
  const row = await setReady(tx, written.id, { ...written, ...details })
  if (row === undefined) throw new Error('the written file is gone')
  appendEvent(tx, changed(row, 'file.created'))
  return row
}

/** A form's fields may come after its file: `details` is asked when the body has been read. */
export async function uploadFile(
  deps: Deps & { requireStorage: RequireStorage },
  caller: Caller,
  upload: { body: Readable; signal: AbortSignal; details: () => { purpose: string; filename: string | null } },
): Promise<FileObject> {
  const mayGoOn = () => deps.requireStorage(caller.owner.userId)
  await mayGoOn()
  const written = await writeFile(deps, caller.owner, upload.body, {
    signal: upload.signal,
    limitBytes: FILE_LIMIT_BYTES,
    mayGoOn,
  })
  try {
    return await inTransaction(deps.db, async tx => fileView(await publishFile(tx, written, upload.details())))
  } catch (error) {
    await discardQuietly(deps, written.id)
    throw error
  }
}

/** The newest first. */
export async function listFiles(deps: Deps, caller: Caller, query: ListFilesQuery): Promise<FileList> {
  const page = await readPage(query, { cursor: idCursor('file'), size: DEFAULT_PAGE }, ({ after, limit }) =>
    selectFiles(deps.db, caller.owner, { purpose: query.purpose, after, limit }),
  )
  return listView(page, fileView)
}

/** Errors: 404. */
export async function getFile(deps: Pick<Deps, 'db'>, caller: Caller, fileId: string): Promise<FileObject> {
  return fileView(await requireFile(deps.db, caller.owner, fileId))
}

/** A file whose bytes are read when they are asked for. Errors: 404; of `read`, 404 where the bytes are gone. */
export async function openFile(
  deps: Deps,
  caller: Caller,
  fileId: string,
): Promise<{
  file: FileObject
  createdAt: Date
  read: (range: ByteRange | undefined, signal: AbortSignal) => Promise<Readable>
}> {
  const row = await requireFile(deps.db, caller.owner, fileId)
  const read = async (range: ByteRange | undefined, signal: AbortSignal) => {
    const reading = deps.objects.get(row.object_key, { signal, ...(range && { range }) })
    return (await reading.catch(asObjectFailure('file', 'file_id'))).body
  }
  return { file: fileView(row), createdAt: row.created_at, read }
}

/** Errors: 404; 409 while an unfinished job reads the file. */
export async function deleteFile(deps: Deps, caller: Caller, fileId: string): Promise<void> {
  const row = await inTransaction(deps.db, async tx => {
    const file = isId('file', fileId) ? await selectFileForDelete(tx, caller.owner, fileId) : undefined
    if (file === undefined) throw notFound('file', 'file_id')
    const job = await openJobReading(tx, fileId)
    if (job !== undefined)
      throw conflict(`The file is being read by ${job}. Cancel that or wait for its end.`, 'file_id')
    await setDeleting(tx, fileId)
    appendEvent(tx, changed(file, 'file.deleted'))
    return file
  })
  await discardQuietly(deps, row.id)
}

const changed = <T extends 'file.created' | 'file.deleted'>(file: FileRow, type: T) => ({
  owner: { userId: file.user_id, projectId: file.project_id },
  type,
  subject: file.id,
  payload: { purpose: file.purpose, bytes: Number(file.bytes) },
})

async function requireFile(db: Queryable, owner: Owner, fileId: string): Promise<FileRow> {
  const row = isId('file', fileId) ? await selectFile(db, owner, fileId) : undefined
  if (row === undefined) throw notFound('file', 'file_id')
  return row
}

/** The file, kept from deletion until the transaction ends. Errors: 400 naming `param`: a file of another purpose, or none. */
export async function requireFileFor(
  tx: Transaction,
  owner: Owner,
  fileId: string,
  purpose: string,
  param: string,
): Promise<FileRow> {
  const row = isId('file', fileId) ? await selectFileForUse(tx, owner, fileId) : undefined
  if (row === undefined)
    throw new DomainError(404, 'bad_request', `There is no file ${JSON.stringify(fileId.slice(0, 80))}.`, {
      type: 'not_found',
      param,
    })
  if (row.purpose !== purpose) throw badRequest(`The file's purpose is ${row.purpose}; it must be ${purpose}.`, param)
  return row
}

/** Where a job's activity reads the bytes of its file. */
export const objectKeyOf = (fileId: string): string => `files/${fileId}`

/** Removes what crashed uploads and deletions left. True where there may be more. */
export async function sweepFiles(deps: Deps): Promise<boolean> {
  const leftovers = await selectLeftovers(deps.db, SWEEP_LIMIT)
  const swept = await Promise.allSettled(leftovers.map(leftover => discard(deps, leftover)))
  return leftovers.length === SWEEP_LIMIT && swept.some(one => one.status === 'fulfilled')
}

/** The object goes first: a row without an object is found again by the sweep, an object without a row is not. */
async function discard(deps: Deps, row: Pick<FileRow, 'id' | 'object_key'>): Promise<void> {
  await deps.objects.delete(row.object_key)
  await deleteFileRow(deps.db, row.id)
}

/** After a failure that the caller is told of: what this leaves, the sweep takes. */
const discardQuietly = (deps: Deps, id: string): Promise<void> =>
  discard(deps, { id, object_key: objectKeyOf(id) }).catch(() => undefined)

const fileView = (row: FileRow): FileObject => ({
  id: row.id,
  object: 'file',
  object_kind: 'file',
  status: 'processed',
  owner_user_id: row.user_id,
  project_id: row.project_id,
  purpose: row.purpose,
  filename: row.filename,
  bytes: Number(row.bytes),
  sha256: row.sha256,
  storage_uri: `ipop://files/${row.id}`,
  created_at: row.created_at.toISOString(),
  created: unixSeconds(row.created_at),
  expires_at: row.expires_at?.toISOString() ?? null,
})

/** An upload is counted each time so much of it has come. */
const COUNTED_EVERY_BYTES = 8 * 1024 * 1024

function meteredHash(
  limitBytes: number,
  counted: (bytes: number) => Promise<void>,
): { stream: Transform; result(): { bytes: number; sha256: string } } {
  const hash = createHash('sha256')
  const onCounted = callbackify(counted)
  let bytes = 0
  let countAt = COUNTED_EVERY_BYTES
  const stream = new Transform({
    transform(part: Buffer, _encoding, done) {
      bytes += part.length
      if (bytes > limitBytes) return done(tooLarge(limitBytes))
      hash.update(part)
      if (bytes < countAt) return done(null, part)
      countAt = bytes + COUNTED_EVERY_BYTES
      onCounted(bytes, error => done(error, part))
    },
  })
  return { stream, result: () => ({ bytes, sha256: hash.digest('hex') }) }
}

const tooLarge = (limitBytes: number): DomainError =>
  new DomainError(413, 'bad_request', `A file has at most ${limitBytes} bytes.`, { type: 'payload_too_large' })
