import { spawnSync } from 'node:child_process'
import { accessSync, constants, mkdirSync, readdirSync, rmSync } from 'node:fs'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigError } from '../infra/config.ts'
import { tryLock } from './file-lock.ts'
import { buildCli } from './temporal-cli-build.ts'
import { downloadCli } from './temporal-cli-download.ts'

export interface CliSearch {
  env: NodeJS.ProcessEnv
  printLine: (line: string) => void
  /** Ends a download or a build under way. */
  signal: AbortSignal
  /** Where the archive comes from; the official place unless told. */
  downloadUrl?: string
}

const VERSION_WITHIN_MS = 20_000
const LOOK_EVERY_MS = 1_000

/** Where tools are kept between checkouts. */
export const toolCache = (env: NodeJS.ProcessEnv): string =>
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
  return install(search, cached)
}

/** One process of this machine at a time: the others wait, and use what it brought. */
async function install(search: CliSearch, target: string): Promise<string> {
  let isPrinted = false
  for (;;) {
    const lock = tryLock(toolCache(search.env), 'temporal.lock')
    if (lock.heldBy === undefined) return fetchOrBuild(search, target).finally(lock.release)
    if (!isPrinted) search.printLine(`Process ${lock.heldBy.pid} is getting the Temporal CLI: waiting for it …`)
    isPrinted = true
    await delay(LOOK_EVERY_MS, undefined, { signal: search.signal })
  }
}

async function fetchOrBuild(search: CliSearch, target: string): Promise<string> {
  if (runs(target)) return target
  removeUnfinished(toolCache(search.env))
  const notDownloaded = await downloadCli(search, target, runs)
  if (notDownloaded === undefined) return target
  search.printLine(`It cannot be downloaded (${notDownloaded}).`)
  const notBuilt = await buildCli(search, target)
  if (notBuilt === undefined) return target
  throw new ConfigError(
    `The Temporal CLI was not found and cannot be downloaded, and ${notBuilt}: install it ` +
      '(https://docs.temporal.io/cli) and set TEMPORAL_CLI_PATH, or set TEMPORAL_ADDRESS to a running server.',
  )
}

/** What a process left that was killed meanwhile. */
function removeUnfinished(cache: string): void {
  for (const name of readdirSync(cache)) {
    if (/^(build|download)-/.test(name)) rmSync(join(cache, name), { recursive: true, force: true })
  }
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
  return spawnSync(path, ['--version'], { timeout: VERSION_WITHIN_MS }).status === 0
}
