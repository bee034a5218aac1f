import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ProcessIdentity } from './process-identity.ts'

/** What `stack.json` says of a stack: enough to find it, to verify what is left of it, and to go on where it was. */
export interface StackFile {
  version: 1
  /** Whether all of DATA_DIR is its owner's alone; missing where a version made it that did not see to that. */
  isPrivate?: boolean
  supervisor: ProcessIdentity
  /** By name; ours to stop where they are alive. */
  processes: Record<string, ProcessIdentity>
  /** Kept over restarts, so that links stay valid. */
  ports: Record<string, number>
  apiUrl?: string
  temporalUiUrl?: string
  temporalAddress?: string
  databaseUrl?: string
}

const pathOf = (dataDir: string): string => join(dataDir, 'stack.json')

/** Undefined where there is none, or none that can be read. */
export function readStackFile(dataDir: string): StackFile | undefined {
  if (!existsSync(pathOf(dataDir))) return undefined
  try {
    const file = JSON.parse(readFileSync(pathOf(dataDir), 'utf8')) as StackFile
    return file.version === 1 ? file : undefined
  } catch {
    return undefined
  }
}

/** Whole or not at all. It holds the embedded database's password, so it is its owner's alone. */
export function writeStackFile(dataDir: string, file: StackFile): void {
  const next = `${pathOf(dataDir)}.${process.pid}`
  writeFileSync(next, `${JSON.stringify(file, undefined, 2)}\n`, { mode: 0o600 })
  renameSync(next, pathOf(dataDir))
}
