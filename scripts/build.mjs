// @ts-check
// Builds dist/: TypeScript, the files that run time reads beside it, the packages in few files, and the workflow bundle.
// Each step does only what has changed, so that it may run before every start and every test.
import { spawnSync } from 'node:child_process'
import { chmodSync, existsSync, rmSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { copyAssets } from './build/assets.mjs'
import { vendorPackages } from './build/vendor.mjs'
import { bundleWorkflows } from './build/workflow-bundle.mjs'
import { isBuilt, setBuilt, stampOfSources } from './build/stamp.mjs'
import { removeStale } from './build/stale.mjs'

const COMPILER = 'node_modules/typescript/bin/tsc'
const CLI = 'dist/cli/main.js'

process.chdir(fileURLToPath(new URL('..', import.meta.url)))

if (!existsSync(COMPILER)) withoutCompiler()
else await build()

/** An installation without development dependencies runs what was built before. */
function withoutCompiler() {
  if (existsSync(CLI)) return
  console.error('dist/ is not built, and TypeScript is not installed: run `npm ci` without --omit=dev first.')
  process.exitCode = 1
}

async function build() {
  const stamp = stampOfSources()
  if (existsSync(CLI) && isBuilt(stamp)) return
  // The compiler believes its own notes, whatever became of its output.
  if (!existsSync(CLI)) rmSync('dist/.tsbuildinfo', { force: true })
  removeStale()
  const { status } = spawnSync(process.execPath, [COMPILER, '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
  if (status !== 0) {
    process.exitCode = 1
    return
  }
  copyAssets()
  if (existsSync(CLI)) chmodSync(CLI, 0o755)
  await vendorPackages()
  await bundleWorkflows()
  setBuilt(stamp)
}
