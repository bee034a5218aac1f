import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigError } from '../config.ts'
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts'

const SETTLE_MS = 100

/**
 * Takes DATA_DIR for this process. Two that find the same dead owner's lock both replace it, one after the other;
 * so each looks again a moment later, and the one that finds itself has it.
 * Errors: ConfigError where a live process has it.
 */
export async function lockDataDir(dataDir: string): Promise<{ release(): void }> {
  const path = join(dataDir, 'stack.lock')
  const self = identify(process.pid)
  if (self === undefined) throw new Error('this process cannot be identified')
  const owner = ownerOf(path)
  if (owner !== undefined && isAlive(owner)) throw alreadyRunning(dataDir, owner)
  rmSync(path, { force: true })
  write(path, self)
  await delay(SETTLE_MS)
  const now = ownerOf(path)
  if (now?.pid !== self.pid) throw alreadyRunning(dataDir, now)
  return { release: () => rmSync(path, { force: true }) }
}

function write(path: string, self: ProcessIdentity): void {
  try {
    writeFileSync(path, JSON.stringify(self), { flag: 'wx' })
  } catch (error) {
    // Another one was faster: it is found when we look again.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function ownerOf(path: string): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(path, 'utf8')) as ProcessIdentity
  } catch {
    return undefined
  }
}

const alreadyRunning = (dataDir: string, owner: ProcessIdentity | undefined): ConfigError =>
  new ConfigError(
    `A stack is running on ${dataDir} already (pid ${owner?.pid ?? 'unknown'}): stop it first, or set another DATA_DIR.`,
  )
