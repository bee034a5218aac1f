import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from './file-errors.ts'
import { folderPath, tokenOf } from './file-paths.ts'

export interface KeyOnDisk {
  key: string
  path: string
}

interface Entry {
  token: string
  isFolder: boolean
  path: string
}

/**
 * All keys that begin with `prefix` and come after `after`, in byte order. Holds the names of one folder per level,
 * not the tree. What a folder's entry adds to the key sorts as its keys do: `a`, `a-b`, `a/`.
 */
export async function* keysInOrder(root: string, prefix: string, after: string): AsyncGenerator<KeyOnDisk> {
  if (prefix.length > 1024) return
  const base = prefix.slice(0, prefix.lastIndexOf('/') + 1)
  yield* walk(folderPath(root, base), base, prefix, after)
}

async function* walk(folder: string, base: string, prefix: string, after: string): AsyncGenerator<KeyOnDisk> {
  for (const { token, isFolder, path } of await entriesInOrder(folder)) {
    const key = base + token
    if (isFolder) {
      if (mayHold(key, prefix, after)) yield* walk(path, key, prefix, after)
    } else if (key.startsWith(prefix) && key > after) {
      yield { key, path }
    }
  }
}

/** Whether a key that begins with `start` can begin with `prefix` and come after `after`. */
function mayHold(start: string, prefix: string, after: string): boolean {
  return (start.startsWith(prefix) || prefix.startsWith(start)) && (start > after || after.startsWith(start))
}

async function entriesInOrder(folder: string): Promise<Entry[]> {
  const entries: Entry[] = []
  for (const entry of await namesIn(folder)) {
    const isFolder = entry.isDirectory()
    const token = tokenOf(entry.name, isFolder)
    if (token !== undefined) entries.push({ token, isFolder, path: join(folder, entry.name) })
  }
  return entries.sort((a, b) => (a.token < b.token ? -1 : 1))
}

async function namesIn(folder: string) {
  try {
    return await readdir(folder, { withFileTypes: true })
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  }
}
