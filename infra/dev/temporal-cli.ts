import { spawn, spawnSync } from 'node:child_process'
import { accessSync, chmodSync, constants, mkdirSync, mkdtempSync, renameSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { ReadableStream } from 'node:stream/web'
import { ConfigError } from '../config.ts'

/** The newest version that `go install` can build (later ones have replace directives). */
const VERSION = 'v1.5.1'
const GO_PACKAGE = `github.com/temporalio/cli/cmd/temporal@${VERSION}`
/** Documented at https://docs.temporal.io/cli/setup-cli. */
const DOWNLOAD = `https://temporal.download/cli/archive/${VERSION}`
const DOWNLOAD_ANSWERS_WITHIN_MS = 10_000
const SAY_EVERY_MS = 15_000
const ARCHITECTURES: Record<string, string> = { x64: 'amd64', arm64: 'arm64' }

export interface CliSearch {
  env: NodeJS.ProcessEnv
  say: (line: string) => void
  /** Where the archive comes from; the official place unless told. */
  downloadUrl?: string
}

/** Where tools are kept between checkouts. */
const toolCache = (env: NodeJS.ProcessEnv): string =>
  join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ipop', 'bin')

/**
 * The Temporal CLI: TEMPORAL_CLI_PATH, PATH, the cache folder, the official download, else built with Go (some
 * minutes, once). Says what takes long. Errors: ConfigError where none of it works.
 */
export async function findTemporalCli(search: CliSearch): Promise<string> {
  const named = search.env['TEMPORAL_CLI_PATH']
  if (named !== undefined && named !== '') {
    if (runs(named)) return named
    throw new ConfigError(`TEMPORAL_CLI_PATH is ${named}, which does not run.`)
  }
  const cached = join(toolCache(search.env), 'temporal')
  const found = [...onPath(search.env), cached].find(runs)
  if (found !== undefined) return found
  mkdirSync(toolCache(search.env), { recursive: true })
  if (await download(search, cached)) return cached
  if (await build(search, cached)) return cached
  throw new ConfigError(
    'The Temporal CLI was not found, could not be downloaded, and there is no Go to build it: install it ' +
      '(https://docs.temporal.io/cli) and set TEMPORAL_CLI_PATH, or set TEMPORAL_ADDRESS to a running server.',
  )
}

const onPath = (env: NodeJS.ProcessEnv): string[] =>
  (env['PATH'] ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map(folder => join(folder, 'temporal'))

function runs(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
  } catch {
    return false
  }
  return spawnSync(path, ['--version'], { timeout: 20_000 }).status === 0
}

/** False where the archive cannot be had: no connection within ten seconds, or a broken one. */
async function download({ env, say, downloadUrl = DOWNLOAD }: CliSearch, target: string): Promise<boolean> {
  const platform = `platform=${process.platform}&arch=${ARCHITECTURES[process.arch] ?? process.arch}`
  const folder = mkdtempSync(join(toolCache(env), 'download-'))
  const unanswered = new AbortController()
  const waiting = setTimeout(() => unanswered.abort(), DOWNLOAD_ANSWERS_WITHIN_MS)
  try {
    say(`Downloading the Temporal CLI ${VERSION} …`)
    const reply = await fetch(`${downloadUrl}?${platform}`, { signal: unanswered.signal })
    clearTimeout(waiting)
    if (!reply.ok || reply.body === null) return false
    await unpack(reply.body, folder)
    renameSync(join(folder, 'temporal'), target)
    chmodSync(target, 0o755)
    return runs(target)
  } catch {
    say('It cannot be downloaded from here.')
    return false
  } finally {
    clearTimeout(waiting)
    rmSync(folder, { recursive: true, force: true })
  }
}

async function unpack(archive: ReadableStream, folder: string): Promise<void> {
  const tar = spawn('tar', ['-xz', '-C', folder, 'temporal'], { stdio: ['pipe', 'ignore', 'ignore'] })
  const ended = new Promise<void>((resolve, reject) => {
    tar.once('error', reject)
    tar.once('exit', code => (code === 0 ? resolve() : reject(new Error('the archive is broken'))))
  })
  await Promise.all([pipeline(Readable.fromWeb(archive), tar.stdin), ended])
}

/** False where there is no Go, or it fails. Several processes at once each build aside; the last one's stays. */
async function build({ env, say }: CliSearch, target: string): Promise<boolean> {
  if (spawnSync('go', ['version']).status !== 0) return false
  const folder = mkdtempSync(join(toolCache(env), 'build-'))
  const startedAtMs = Date.now()
  const elapsed = () => `${Math.round((Date.now() - startedAtMs) / 1000)} s`
  say(`Building the Temporal CLI ${VERSION} with Go: about 4 minutes, once on this machine …`)
  const telling = setInterval(() => say(`  still building the Temporal CLI (${elapsed()}) …`), SAY_EVERY_MS)
  try {
    const status = await exitCode('go', ['install', GO_PACKAGE], { ...env, GOBIN: folder })
    if (status !== 0) return false
    renameSync(join(folder, 'temporal'), target)
    say(`Built in ${elapsed()}.`)
    return true
  } finally {
    clearInterval(telling)
    rmSync(folder, { recursive: true, force: true })
  }
}

function exitCode(command: string, args: string[], env: NodeJS.ProcessEnv): Promise<number | null> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { env, stdio: 'ignore' })
    child.once('error', reject)
    child.once('exit', resolve)
  })
}
