import { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'

const PREFIX = 'child-'
const LEFT_AFTER_MS = 24 * 60 * 60 * 1000
const swept = new Map<string, Promise<void>>()

/**
 * Runs work with a new, empty folder under `base` that only this user may enter, and removes it with all that is in it
 * when the work is over. What a killed process left is removed a day later, at the first use of a base in a process.
 */
export async function inFreshFolder<T>(base: string, work: (folder: string) => Promise<T>): Promise<T> {
  await mkdir(base, { recursive: true, mode: 0o700 })
  if (!swept.has(base)) swept.set(base, removeOldFolders(base))
  await swept.get(base)
  const folder = await mkdtemp(join(base, PREFIX))
  try {
    return await work(folder)
  } finally {
    await removeFolder(folder)
  }
}

/** A program may take from its own folders the right to be changed. What cannot be removed is left to the next sweep. */
async function removeFolder(folder: string): Promise<void> {
  try {
    await rm(folder, { recursive: true, force: true })
  } catch {
    await makeRemovable(folder).catch(() => undefined)
    await rm(folder, { recursive: true, force: true }).catch(() => undefined)
  }
}

async function makeRemovable(folder: string): Promise<void> {
  await chmod(folder, 0o700)
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    if (entry.isDirectory()) await makeRemovable(join(folder, entry.name))
  }
}

async function removeOldFolders(base: string): Promise<void> {
  const names = (await readdir(base)).filter(name => name.startsWith(PREFIX))
  for (const folder of names.map(name => join(base, name))) {
    const entry = await stat(folder).catch(() => undefined)
    if (entry !== undefined && Date.now() - entry.mtimeMs > LEFT_AFTER_MS) await removeFolder(folder)
  }
}
