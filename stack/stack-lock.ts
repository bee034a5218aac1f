import { ConfigError } from '../infra/config.ts'
import { tryLock } from './file-lock.ts'
import { readStackFile } from './stack-file.ts'

/** Takes DATA_DIR for this process. Errors: ConfigError where a live process has it. */
export function lockDataDir(dataDir: string): { release: () => void } {
  const lock = tryLock(dataDir, 'stack.lock')
  if (lock.heldBy === undefined) return lock
  const { pid } = lock.heldBy
  const stack = readStackFile(dataDir)
  const at = stack?.supervisor.pid === pid && stack.apiUrl !== undefined ? `, at ${stack.apiUrl}` : ''
  throw new ConfigError(
    `A stack is running on ${dataDir} already (pid ${pid}${at}): stop it first, or set another DATA_DIR.`,
  )
}
