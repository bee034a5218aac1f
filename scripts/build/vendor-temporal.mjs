// @ts-check
import { readFileSync } from 'node:fs'

const BRIDGE = '@temporalio/core-bridge/package.json'
const SOURCE_MAP = 'source-map/lib/read-wasm.js'

/** The program of the threads that run workflows, which becomes a file beside the worker's. */
export const THREAD = '@temporalio/worker/lib/workflow/workflow-worker-thread.js'
export const THREAD_FILE = 'temporalio-workflow-thread'

/** What Temporal's worker looks up beside its own files is looked up in its package. */
const LOOKED_UP = [
  {
    file: /core-bridge\/common\.js$/,
    from: '__dirname',
    to: `require('node:path').dirname(require.resolve('${BRIDGE}'))`,
  },
  {
    file: /worker\/lib\/workflow\/threaded-vm\.js$/,
    from: `require.resolve('./workflow-worker-thread')`,
    to: `new URL('./${THREAD_FILE}.js', VENDORED)`,
  },
  {
    file: /source-map\/lib\/read-wasm\.js$/,
    from: '__dirname',
    to: `require('node:path').dirname(require.resolve('${SOURCE_MAP}'))`,
  },
  // For bundling workflows, which the build has done: nothing of it is loaded.
  { file: /worker\/lib\/workflow\/bundler\.js$/, from: 'require.resolve(', to: 'String(' },
]
const BUNDLING = /^(webpack|memfs|unionfs)$/

/**
 * Temporal's SDK without what bundles workflows, which is half of it.
 * @type {import('esbuild').Plugin}
 */
export const temporalInOneFile = {
  name: 'temporal',
  setup: build => {
    build.initialOptions.external = [...(build.initialOptions.external ?? []), BRIDGE, SOURCE_MAP]
    build.onResolve({ filter: BUNDLING }, ({ path }) => ({ path, namespace: 'left-out' }))
    build.onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {}' }))
    for (const { file, from, to } of LOOKED_UP) {
      build.onLoad({ filter: file }, ({ path }) => ({ contents: changed(path, from, to), loader: 'js' }))
    }
  },
}

/**
 * @param {string} path
 * @param {string} from
 * @param {string} to
 */
function changed(path, from, to) {
  const text = readFileSync(path, 'utf8')
  if (!text.includes(from)) throw new Error(`${path} has changed: it says no ${from}.`)
  return text.replaceAll(from, to)
}
