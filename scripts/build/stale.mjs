// @ts-check
import { existsSync, rmSync } from 'node:fs'
import { relative } from 'node:path'
import { filesUnder } from './files.mjs'

const NOT_COMPILED = /^(vendor\/.*|\.tsbuildinfo|\.built|workflows\/bundle\.js.*)$/

/** Removes from dist/ what no source stands behind any more: a migration taken back must not run. */
export function removeStale() {
  for (const path of filesUnder('dist')) {
    if (!hasSource(relative('dist', path))) rmSync(path)
  }
}

/** @param {string} path a path relative to dist/ */
function hasSource(path) {
  return NOT_COMPILED.test(path) || existsSync(path) || existsSync(path.replace(/\.js(\.map)?$/, '.ts'))
}
