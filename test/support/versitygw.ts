import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, constants, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { delimiter, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { isNativeError } from 'node:util/types'

const MODULE = 'github.com/versity/versitygw/cmd/versitygw@v1.7.0'

/**
 * The path of the S3 server's program: from PATH, from the cache folder, else built into the cache folder with Go,
 * by one process while others wait. Errors: one sentence that says what to install.
 */
export async function findVersitygw(): Promise<string> {
  const cache = join(process.env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'ipop', 'bin')
  const folders = [...(process.env['PATH'] ?? '').split(delimiter).filter(Boolean), cache]
  const found = await firstProgram(folders, 'versitygw')
  if (found !== undefined) return found
  if ((await firstProgram(folders, 'go')) === undefined) throw new Error(cannot('There is no Go here'))
  await mkdir(cache, { recursive: true })
  return buildOnce(cache)
}

async function buildOnce(cache: string): Promise<string> {
  const lock = join(cache, 'versitygw.lock')
  while (!(await tryLock(lock))) await waitFor(lock)
  try {
    return (await firstProgram([cache], 'versitygw')) ?? (await build(cache))
  } finally {
    await rm(lock, { force: true })
  }
}

/** Built elsewhere and moved: a program that is there is whole. */
async function build(cache: string): Promise<string> {
  const folder = join(cache, `building-${process.pid}`)
  process.stderr.write(`Building the S3 server for the tests (go install ${MODULE}): one to three minutes, once.\n`)
  try {
    const env = { ...process.env, GOBIN: folder }
    const go = spawn('go', ['install', MODULE], { env, stdio: ['ignore', 'ignore', 'pipe'] })
    let complaint = ''
    go.stderr.on('data', (text: Buffer) => (complaint = (complaint + text.toString()).slice(-500)))
    const [code] = (await once(go, 'close')) as [number | null]
    if (code !== 0) throw new Error(cannot(`Building it failed (${complaint.trim()})`))
    await rename(join(folder, 'versitygw'), join(cache, 'versitygw'))
    return join(cache, 'versitygw')
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function tryLock(lock: string): Promise<boolean> {
  try {
    await writeFile(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (isNativeError(error) && 'code' in error && error.code === 'EEXIST') return false
    throw error
  }
}

/** Until the lock is gone; one whose process has died is removed. */
async function waitFor(lock: string): Promise<void> {
  for (;;) {
    await delay(500)
    const owner = await readFile(lock, 'utf8').catch(() => undefined)
    if (owner === undefined) return
    if (owner !== '' && !isAlive(Number(owner))) return rm(lock, { force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function firstProgram(folders: string[], name: string): Promise<string | undefined> {
  for (const folder of folders) {
    const path = join(folder, name)
    const isProgram = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    )
    if (isProgram) return path
  }
  return undefined
}

function cannot(reason: string): string {
  return `The tests of the object store need the S3 server versitygw. ${reason}; put versitygw into PATH, or install Go.`
}
