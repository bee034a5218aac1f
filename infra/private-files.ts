import { chmodSync, lstatSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

const OTHERS = 0o077

/** What this process makes from here on, and the processes that it starts, is its user's alone. */
export const makePrivateFiles = (): void => void process.umask(OTHERS)

/**
 * Takes what is there from everybody but its owner: a folder and what is in it, save the entries named, without
 * following links. The folder itself is last, so that where this breaks off it is seen that it did.
 */
export function takeFromOthers(folder: string, except: readonly string[] = []): void {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name)
    if (except.includes(entry.name)) continue
    if (entry.isDirectory()) takeFromOthers(path)
    else if (!entry.isSymbolicLink()) takePath(path)
  }
  takePath(folder)
}

/** It may go meanwhile. */
function takePath(path: string): void {
  const mode = lstatSync(path, { throwIfNoEntry: false })?.mode ?? 0
  if ((mode & OTHERS) !== 0) chmodSync(path, mode & 0o7700)
}
