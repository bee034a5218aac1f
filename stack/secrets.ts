import { randomBytes } from 'node:crypto'
import { existsSync, linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** The text of a file of DATA_DIR, made once, readable by its owner alone. */
export function secretFile(dataDir: string, name: string, make: () => string): string {
  const path = join(dataDir, name)
  if (!existsSync(path)) writeOnce(path, make())
  return readFileSync(path, 'utf8').trim()
}

export function replaceSecretFile(dataDir: string, name: string, value: string): void {
  rmSync(join(dataDir, name), { force: true })
  writeOnce(join(dataDir, name), value)
}

export const randomHex = (bytes: number) => () => randomBytes(bytes).toString('hex')

/** Written aside and linked into place, so that nobody reads half of it and two writers agree on one. */
function writeOnce(path: string, value: string): void {
  const aside = `${path}.${process.pid}`
  writeFileSync(aside, `${value}\n`, { mode: 0o600 })
  try {
    linkSync(aside, path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  } finally {
    rmSync(aside, { force: true })
  }
}
