// @ts-check
import { copyFileSync, mkdirSync, readFileSync, existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { filesUnder } from './files.mjs'

const ASSET = /\.(sql|json|md)$/

/** Copies what run time reads beside the code: migrations, data, texts. */
export function copyAssets() {
  const assets = ['domain', 'infra'].flatMap(filesUnder).filter(path => ASSET.test(path))
  for (const path of assets) copyIfChanged(path, join('dist', path))
}

/**
 * @param {string} from
 * @param {string} to
 */
function copyIfChanged(from, to) {
  if (existsSync(to) && readFileSync(to).equals(readFileSync(from))) return
  mkdirSync(dirname(to), { recursive: true })
  copyFileSync(from, to)
}
