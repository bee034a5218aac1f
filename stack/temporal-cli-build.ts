import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, renameSync, rmSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { text } from 'node:stream/consumers'

/** The newest version that `go install` can build (later ones have replace directives). */
export const CLI_VERSION = 'v1.5.1'
const GO_PACKAGE = `github.com/temporalio/cli/cmd/temporal@${CLI_VERSION}`
const PRINT_EVERY_MS = 15_000

interface Build {
  env: NodeJS.ProcessEnv
  printLine: (line: string) => void
  signal: AbortSignal
}

/** Builds the Temporal CLI to the target with Go, telling how far it is. Undefined where it worked, else why not. */
export async function buildCli({ env, printLine, signal }: Build, target: string): Promise<string | undefined> {
  if (spawnSync('go', ['version'], { env }).status !== 0) return 'there is no Go to build it'
  const folder = mkdtempSync(join(dirname(target), 'build-'))
  const startedAtMs = Date.now()
  const elapsed = () => `${Math.round((Date.now() - startedAtMs) / 1000)} s`
  printLine(`Building the Temporal CLI ${CLI_VERSION} with Go: about 4 minutes, once on this machine …`)
  const progress = setInterval(() => printLine(`  still building the Temporal CLI (${elapsed()}) …`), PRINT_EVERY_MS)
  try {
    const failure = await goInstall({ ...env, GOBIN: folder }, signal)
    if (failure !== undefined) return failure
    renameSync(join(folder, 'temporal'), target)
    printLine(`Built in ${elapsed()}.`)
    return undefined
  } finally {
    clearInterval(progress)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Undefined where it worked, else why not. Rejects where it was aborted. */
async function goInstall(env: NodeJS.ProcessEnv, signal: AbortSignal): Promise<string | undefined> {
  const go = spawn('go', ['install', GO_PACKAGE], { env, signal, stdio: ['ignore', 'ignore', 'pipe'] })
  const [[status], isPrinted] = await Promise.all([once(go, 'close') as Promise<[number | null]>, text(go.stderr)])
  return status === 0 ? undefined : `Go could not build it (${isPrinted.trim().split('\n').at(-1) ?? `code ${status}`})`
}
