// @ts-check
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/**
 * All files under a folder, as paths that begin with it; none if there is no such folder.
 * @param {string} folder
 * @returns {string[]}
 */
export function filesUnder(folder) {
  if (!existsSync(folder)) return []
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true })
  return entries.filter(entry => entry.isFile()).map(entry => join(entry.parentPath, entry.name))
}
