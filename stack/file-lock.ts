import { linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { identify, isAlive, type ProcessIdentity } from './process-identity.ts'

/** Held by this process until it is released or ends, or held by another one that is alive. */
export type LockAttempt = { release: () => void; heldBy?: never } | { heldBy: ProcessIdentity; release?: never }

const ATTEMPTS = 20

/**
 * Takes a lock between processes of this machine, without waiting. It is the numbered file `<name>.<n>` with the
 * highest number, and names its holder. A dead holder's is succeeded by linking the next number, which succeeds for
 * one process alone, however long another has thought about it. The highest file is never removed, so no number is
 * given twice.
 */
export function tryLock(folder: string, name: string): LockAttempt {
  const self = identify(process.pid)
  if (self === undefined) throw new Error('this process cannot be identified')
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const highest = highestNumber(folder, name)
    const holder = holderOf(folder, name, highest)
    if (holder !== undefined && isAlive(holder)) return { heldBy: holder }
    const mine = highest + 1
    if (!link(folder, name, mine, self)) continue
    if (highestNumber(folder, name) === mine) {
      removeBelow(folder, name, mine)
      return { release: () => release(folder, name, mine) }
    }
    rmSync(pathOf(folder, name, mine), { force: true })
  }
  throw new Error(`${join(folder, name)} could not be locked`)
}

const pathOf = (folder: string, name: string, number: number): string => join(folder, `${name}.${number}`)

function numbersOf(folder: string, name: string): number[] {
  const prefix = `${name}.`
  return readdirSync(folder)
    .filter(file => file.startsWith(prefix) && /^\d+$/.test(file.slice(prefix.length)))
    .map(file => Number(file.slice(prefix.length)))
}

const highestNumber = (folder: string, name: string): number => Math.max(0, ...numbersOf(folder, name))

/** Undefined where it was released. */
function holderOf(folder: string, name: string, number: number): ProcessIdentity | undefined {
  try {
    return JSON.parse(readFileSync(pathOf(folder, name, number), 'utf8')) as ProcessIdentity
  } catch {
    return undefined
  }
}

/** Linked whole: nobody reads half of it. False where another process was faster. */
function link(folder: string, name: string, number: number, self: ProcessIdentity): boolean {
  const aside = join(folder, `${name}-${self.pid}`)
  writeFileSync(aside, JSON.stringify(self), { mode: 0o600 })
  try {
    linkSync(aside, pathOf(folder, name, number))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  } finally {
    rmSync(aside, { force: true })
  }
}

/** Its file stays, empty, where the folder has not been removed. */
function release(folder: string, name: string, number: number): void {
  if (holderOf(folder, name, number)?.pid === process.pid) writeFileSync(pathOf(folder, name, number), '')
}

function removeBelow(folder: string, name: string, number: number): void {
  for (const lower of numbersOf(folder, name)) {
    if (lower < number) rmSync(pathOf(folder, name, lower), { force: true })
  }
}
