import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { unlessMissing } from './file-errors.ts'
import { LEFTOVER_AGE_MS } from './store.ts'

/** The names in a folder of what nobody wrote to for 24 hours. */
export async function oldEntries(folder: string): Promise<string[]> {
  const old: string[] = []
  for (const name of await readdir(folder)) {
    const found = await unlessMissing(stat(join(folder, name)))
    if (found && Date.now() - found.mtimeMs > LEFTOVER_AGE_MS) old.push(name)
  }
  return old
}

/** Removes them, and tells how many. */
export async function removeOld(folder: string): Promise<number> {
  const names = await oldEntries(folder)
  for (const name of names) await rm(join(folder, name), { recursive: true, force: true })
  return names.length
}
