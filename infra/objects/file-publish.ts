import { mkdir, open, rmdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { hasCode } from './file-errors.ts'

const ATTEMPTS = 20

/**
 * Puts a finished file in its place, in one system call, and waits until the disk knows it. `call` is link, which
 * fails with EEXIST where a file is there already, or rename, which replaces it. Folders are made as needed: again,
 * where a delete that went by just then removed them as empty.
 */
export async function placeFile(
  from: string,
  to: string,
  call: (from: string, to: string) => Promise<void>,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      const firstMade = await mkdir(dirname(to), { recursive: true, mode: 0o700 })
      await call(from, to)
      return await syncFolders(dirname(to), firstMade)
    } catch (error) {
      // ENOTDIR is what Node's mkdir says of a folder that was there and is gone when it looks closer.
      if (!hasCode(error, 'ENOENT', 'ENOTDIR') || attempt === ATTEMPTS) throw error
    }
  }
}

/** Removes `folder` and those around it while they are empty; `root` stays. */
export async function removeEmptyFolders(folder: string, root: string): Promise<void> {
  for (let current = folder; current !== root; current = dirname(current)) {
    try {
      await rmdir(current)
    } catch (error) {
      if (hasCode(error, 'ENOTEMPTY', 'EEXIST')) return
      if (!hasCode(error, 'ENOENT')) throw error
    }
  }
}

/** From `folder` up to the one that holds `firstMade`, so that new folders outlive a power cut too. */
async function syncFolders(folder: string, firstMade: string | undefined): Promise<void> {
  const last = firstMade === undefined ? folder : dirname(firstMade)
  for (let current = folder; ; current = dirname(current)) {
    await syncFolder(current)
    if (current === last) return
  }
}

async function syncFolder(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}
