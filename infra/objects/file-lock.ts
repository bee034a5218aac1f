import { createHash, randomUUID } from 'node:crypto'
import { link, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { hasCode, unlessMissing } from './file-errors.ts'
import { ObjectStoreError } from './store.ts'

const STALE_MS = 10_000
const RETRY_FOR_MS = 30_000

/** Throws Unavailable where the lock was taken away because it was held for too long. */
export type AssertHeld = () => Promise<void>

/**
 * One writer per name. Within a process a queue decides, exactly and in order. Across processes a lock file does
 * (O_EXCL); it is held for a few system calls, so one that is 10 s old belongs to a process that died or was stopped,
 * and is taken over. A holder stopped for that long notices before it writes, through AssertHeld: two writers at once
 * would take a process stopped for 10 s between that look and the system call right after it.
 */
export class FileLocks {
  readonly #folder: string
  readonly #queues = new Map<string, Promise<unknown>>()

  constructor(folder: string) {
    this.#folder = folder
  }

  async withLock<T>(name: string, action: (assertHeld: AssertHeld) => Promise<T>): Promise<T> {
    const before = this.#queues.get(name) ?? Promise.resolve()
    const turn = before.then(() => this.#withLockFile(name, action))
    const settled = turn.then(
      () => undefined,
      () => undefined,
    )
    this.#queues.set(name, settled)
    try {
      return await turn
    } finally {
      if (this.#queues.get(name) === settled) this.#queues.delete(name)
    }
  }

  async #withLockFile<T>(name: string, action: (assertHeld: AssertHeld) => Promise<T>): Promise<T> {
    const path = join(this.#folder, createHash('sha256').update(name).digest('hex'))
    const token = await acquire(path)
    const isHeld = async () => (await unlessMissing(readFile(path, 'utf8'))) === token
    try {
      return await action(async () => {
        if (!(await isHeld())) throw new ObjectStoreError('Unavailable', 'a lock was held for too long and is lost')
      })
    } finally {
      if (await isHeld()) await rm(path, { force: true })
    }
  }
}

async function acquire(path: string): Promise<string> {
  const token = randomUUID()
  const deadline = Date.now() + RETRY_FOR_MS
  while (!(await tryAcquire(path, token))) {
    if (Date.now() > deadline) throw new ObjectStoreError('Unavailable', 'other writers did not let go of a lock')
    await removeIfStale(path)
    await delay(2 + Math.random() * 8)
  }
  return token
}

async function tryAcquire(path: string, token: string): Promise<boolean> {
  try {
    const handle = await open(path, 'wx', 0o600)
    try {
      await handle.writeFile(token)
    } finally {
      await handle.close()
    }
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  }
}

/** Moves a stale lock away; gives it back where it was released and taken anew between the look and the move. */
async function removeIfStale(path: string): Promise<void> {
  if (!(await isStale(path))) return
  const taken = `${path}.${randomUUID()}`
  const moved = await unlessMissing(rename(path, taken).then(() => true))
  if (!moved) return
  if (!(await isStale(taken))) await giveBack(taken, path)
  await rm(taken, { force: true })
}

async function giveBack(taken: string, path: string): Promise<void> {
  try {
    await link(taken, path)
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
  }
}

async function isStale(path: string): Promise<boolean> {
  const found = await unlessMissing(stat(path))
  return found !== undefined && Date.now() - found.mtimeMs > STALE_MS
}
