import { execFileSync, spawnSync } from 'node:child_process'
import { accessSync, chownSync, constants, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { ConfigError } from '../config.ts'

/** How Postgres' programs are started by this user: they refuse to run as root. */
export interface PostgresIdentity {
  /** Words before the command. */
  prefix: string[]
  uid?: number
  gid?: number
}

const USER_NAMESPACE = ['unshare', '--user', '--map-user=1000', '--map-group=1000']
const SYSTEM_USER = 'postgres'

/**
 * Another user: as itself. Root: in a user namespace where it is not root, which needs no other user and reaches
 * every folder that root does; where those are switched off, as the system user `postgres`, made if need be.
 * Errors: ConfigError where neither works.
 */
export function postgresIdentity(paths: readonly string[]): PostgresIdentity {
  if (process.getuid?.() !== 0) return { prefix: [] }
  const [command = '', ...args] = USER_NAMESPACE
  if (spawnSync(command, [...args, 'true']).status === 0) return { prefix: USER_NAMESPACE }
  return systemUser(paths)
}

function systemUser(paths: readonly string[]): PostgresIdentity {
  const closed = paths.flatMap(folders).find(folder => (statSync(folder).mode & constants.S_IXOTH) === 0)
  if (closed !== undefined) {
    throw new ConfigError(
      `Postgres does not run as root, and no other user can enter ${closed}: run as another user, or set DATABASE_URL.`,
    )
  }
  if (numberOf('-u') === undefined) spawnSync('useradd', ['--system', '--user-group', SYSTEM_USER])
  const uid = numberOf('-u')
  const gid = numberOf('-g')
  if (uid === undefined || gid === undefined) {
    throw new ConfigError(
      'Postgres does not run as root, and no user for it could be made: run as another user, or set DATABASE_URL.',
    )
  }
  return { prefix: [], uid, gid }
}

/** Gives a folder to the user that Postgres runs as. */
export function handOver(path: string, { uid, gid }: PostgresIdentity): void {
  if (uid !== undefined && gid !== undefined) chownSync(path, uid, gid)
}

function folders(path: string): string[] {
  accessSync(path)
  const parent = dirname(path)
  return parent === path ? [path] : [path, ...folders(parent)]
}

function numberOf(flag: '-u' | '-g'): number | undefined {
  try {
    return Number(execFileSync('id', [flag, SYSTEM_USER], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }))
  } catch {
    return undefined
  }
}
