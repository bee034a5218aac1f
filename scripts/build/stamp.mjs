// @ts-check
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { filesUnder } from './files.mjs'

const STAMP = 'dist/.built'
const FOLDERS = ['api', 'domain', 'workflows', 'activities', 'workers', 'cli', 'infra', 'stack', 'sandbox', 'scripts']
const FILES = ['package-lock.json', 'tsconfig.json', 'tsconfig.build.json']

/** Sizes and times of all that dist/ is made of: reading them takes a hundredth of asking the compiler. */
export function stampOfSources() {
  const hash = createHash('sha256').update(process.version)
  for (const path of [...FILES, ...FOLDERS.flatMap(filesUnder)].sort()) {
    const { size, mtimeMs } = statSync(path)
    hash.update(`${path} ${size} ${mtimeMs}\n`)
  }
  return hash.digest('hex')
}

/** @param {string} stamp */
export const isBuilt = stamp => existsSync(STAMP) && readFileSync(STAMP, 'utf8') === stamp

/**
 * Of the sources as they were before they were compiled: what changed meanwhile is compiled the next time.
 * @param {string} stamp
 */
export const setBuilt = stamp => writeFileSync(STAMP, stamp)
