import { createHash } from 'node:crypto'
import { constants, copyFile, open, rm, writeFile, type FileHandle } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { unlessMissing } from './file-errors.ts'

/**
 * An object is one file: its bytes, then a footer of 1,024 bytes (JSON padded with spaces). What is known of an object
 * therefore appears, moves and goes with its bytes in one system call: there is no side-car that a crash could leave
 * out of step, and nothing that could be mistaken for an object. Bytes lie at their own offsets, for range reads.
 */
const FOOTER_BYTES = 1024

const Footer = Type.Object({ etag: Type.String(), contentType: Type.String() })

export interface FileInfo {
  sizeBytes: number
  etag: string
  contentType: string
  modifiedAt: Date
}

export interface OpenObjectFile {
  handle: FileHandle
  info: FileInfo
}

/**
 * Writes a new file to disk, bytes and footer, and waits until it is there to stay. The etag is the MD5 of the bytes,
 * as S3's, unless `etag` gives it after the last byte. A failing source leaves no file.
 */
export async function writeObjectFile(
  path: string,
  chunks: AsyncIterable<Buffer>,
  contentType: string,
  etag?: () => string,
): Promise<FileInfo> {
  const handle = await open(path, 'wx+', 0o600)
  try {
    const hash = createHash('md5')
    await writeFile(handle, hashed(chunks, hash))
    await handle.appendFile(footerBytes({ etag: etag ? etag() : hash.digest('hex'), contentType }))
    await handle.sync()
    return await readInfo(handle)
  } catch (error) {
    await rm(path, { force: true })
    throw error
  } finally {
    await handle.close()
  }
}

/** Copies a file, as it is at one moment, to a new one on disk. Undefined where there is no such file. */
export async function copyObjectFile(from: string, to: string): Promise<FileInfo | undefined> {
  const copied = await unlessMissing(copyFile(from, to, constants.COPYFILE_FICLONE).then(() => true))
  if (!copied) return undefined
  const handle = await open(to, 'r+')
  try {
    await handle.sync()
    return await readInfo(handle)
  } finally {
    await handle.close()
  }
}

/** Opens what `writeObjectFile` wrote; the caller closes it. Undefined where there is no such file. */
export async function openObjectFile(path: string): Promise<OpenObjectFile | undefined> {
  const handle = await unlessMissing(open(path, 'r'))
  if (!handle) return undefined
  try {
    return { handle, info: await readInfo(handle) }
  } catch (error) {
    await handle.close()
    throw error
  }
}

/** Undefined where there is no such file. */
export async function objectFileInfo(path: string): Promise<FileInfo | undefined> {
  const file = await openObjectFile(path)
  await file?.handle.close()
  return file?.info
}

/** Bytes `start` to before `end`. The stream closes the file when it ends or is destroyed. */
export async function readObjectFile(handle: FileHandle, start: number, end: number): Promise<Readable> {
  if (end > start) return handle.createReadStream({ start, end: end - 1 })
  await handle.close()
  return Readable.from([])
}

async function* hashed(chunks: AsyncIterable<Buffer>, hash: ReturnType<typeof createHash>): AsyncGenerator<Buffer> {
  for await (const chunk of chunks) {
    hash.update(chunk)
    yield chunk
  }
}

function footerBytes(footer: { etag: string; contentType: string }): Buffer {
  return Buffer.from(JSON.stringify(footer).padEnd(FOOTER_BYTES))
}

async function readInfo(handle: FileHandle): Promise<FileInfo> {
  const stat = await handle.stat()
  const sizeBytes = stat.size - FOOTER_BYTES
  if (sizeBytes < 0) throw new Error('an object file is damaged: it is shorter than its footer')
  const { buffer } = await handle.read(Buffer.alloc(FOOTER_BYTES), 0, FOOTER_BYTES, sizeBytes)
  const footer = Value.Parse(Footer, JSON.parse(buffer.toString()))
  return { ...footer, sizeBytes, modifiedAt: stat.mtime }
}
