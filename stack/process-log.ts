import { closeSync, mkdirSync, openSync, readSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'

const LIMIT_BYTES = 20 * 1024 * 1024
const TAIL_BYTES = 4096

/** Where a process' output goes. */
export const logPath = (dataDir: string, name: string): string =>
  join(dataDir, 'logs', `${name.replaceAll(' ', '-')}.log`)

export interface OpenLog {
  descriptor: number
  /** What earlier runs wrote. */
  sizeBytes: number
}

/** Opens a process' log to append to it. One that has grown large makes room: the one before it is kept. */
export function openLog(dataDir: string, name: string): OpenLog {
  mkdirSync(join(dataDir, 'logs'), { recursive: true })
  const path = logPath(dataDir, name)
  if (sizeOf(path) > LIMIT_BYTES) renameSync(path, `${path}.1`)
  return { descriptor: openSync(path, 'a', 0o600), sizeBytes: sizeOf(path) }
}

/** The last line written since then that is meant for a person: no JSON, no line of a stack trace. */
export function lastSentence(path: string, sinceBytes: number): string | undefined {
  const file = openSync(path, 'r')
  try {
    const buffer = Buffer.alloc(TAIL_BYTES)
    const from = Math.max(sinceBytes, sizeOf(path) - TAIL_BYTES)
    const tail = buffer.toString('utf8', 0, readSync(file, buffer, 0, TAIL_BYTES, from))
    return tail.split('\n').findLast(line => /^(?!Node\.js v)[A-Z]/.test(line))
  } finally {
    closeSync(file)
  }
}

const sizeOf = (path: string): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0
