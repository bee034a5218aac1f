// @ts-check
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { filesUnder } from './files.mjs'

const ENTRY = 'dist/workflows/index.js'
const BUNDLE = 'dist/workflows/bundle.js'
const HASH = `${BUNDLE}.hash`
// What the import rules let workflows run: themselves, and domain's rules and schemas.
const INPUT = /^dist\/(vendor\/(typebox.*|chunk-.*)|workflows\/.*|domain\/(.*\.(rules|schema)|core\/errors))\.js$/

/** Bundles the workflows for Temporal's sandbox, unless the bundle at hand was made from the same inputs. */
export async function bundleWorkflows() {
  if (!existsSync(ENTRY)) return
  const hash = inputHash()
  if (existsSync(BUNDLE) && existsSync(HASH) && readFileSync(HASH, 'utf8') === hash) return
  const { bundleWorkflowCode, DefaultLogger } = await import('@temporalio/worker')
  const { code } = await bundleWorkflowCode({ workflowsPath: resolve(ENTRY), logger: new DefaultLogger('WARN') })
  replace(BUNDLE, code)
  replace(HASH, hash)
}

function inputHash() {
  const inputs = filesUnder('dist').filter(path => INPUT.test(path) && path !== BUNDLE)
  const hash = createHash('sha256')
  for (const path of ['package-lock.json', ...inputs.sort()]) hash.update(path).update(readFileSync(path))
  return hash.digest('hex')
}

/**
 * Written beside and renamed: a worker that starts meanwhile reads the old bundle or the new one.
 * @param {string} path
 * @param {string} content
 */
function replace(path, content) {
  const temporary = `${path}.${process.pid}`
  writeFileSync(temporary, content)
  renameSync(temporary, path)
}
