import { createHash, randomUUID } from 'node:crypto'
import { open, rm, writeFile, type FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { readObjectFile } from './object-file.ts'

export interface Spooled {
  sizeBytes: number
  sha256: Buffer
  md5: Buffer
  /** To be read or destroyed, which frees the disk space. */
  body: Readable
}

/**
 * A stream of unknown length through a temporary file, for a request that must begin with length and hashes.
 * The file has no name while it is in use: a crash leaves nothing.
 */
export async function spool(chunks: AsyncIterable<Buffer>): Promise<Spooled> {
  const handle = await openNameless()
  try {
    const sha256 = createHash('sha256')
    const md5 = createHash('md5')
    await writeFile(
      handle,
      (async function* () {
        for await (const chunk of chunks) {
          sha256.update(chunk)
          md5.update(chunk)
          yield chunk
        }
      })(),
    )
    const sizeBytes = (await handle.stat()).size
    const body = await readObjectFile(handle, 0, sizeBytes)
    return { sizeBytes, sha256: sha256.digest(), md5: md5.digest(), body }
  } catch (error) {
    await handle.close()
    throw error
  }
}

async function openNameless(): Promise<FileHandle> {
  const path = join(tmpdir(), `ipop-part-${randomUUID()}`)
  const handle = await open(path, 'wx+', 0o600)
  await rm(path)
  return handle
}
