import { join } from 'node:path'
import type { Config } from '../infra/config.ts'
import { connectPlain, connectTemporal } from '../infra/temporal/connection.ts'
import { KEYWORDS, prepareNamespace } from '../infra/temporal/namespace.ts'
import type { ProcessSpec } from './managed-process.ts'
import { findByCommand, stopProcess } from './process-identity.ts'

const START_ATTEMPTS = 10
const START_TIMEOUT_MS = 60_000
const CALL_DEADLINE_MS = 2_000
const STOP_ORPHANED_MS = 5_000

export interface TemporalPorts {
  grpc: number
  ui: number
  metrics: number
}

const DATABASE_FLAG = '--db-filename'
const databaseFile = (dataDir: string): string => join(dataDir, 'temporal.db')

/** Two servers must never write to one file: one of an earlier run that nobody remembers is stopped. */
export async function stopOrphanedTemporal(dataDir: string): Promise<void> {
  const command = ['server start-dev', `${DATABASE_FLAG} ${databaseFile(dataDir)} `]
  for (const identity of findByCommand(command)) await stopProcess(identity, 'SIGTERM', STOP_ORPHANED_MS)
}

/** What the embedded server is to be: its folder, its namespace and where it listens. */
export interface TemporalServer {
  dataDir: string
  namespace: string
  ports: TemporalPorts
}

/**
 * Temporal's dev server with its UI on a SQLite file. WAL with synchronous=NORMAL is three times its default's speed
 * and loses nothing when the process dies; a power cut may lose the last moments, which the jobs in Postgres outlive.
 * The search attributes are there when it answers: registered later, they are refused until its caches know them.
 */
export function temporalServer(cli: string, { dataDir, namespace, ports }: TemporalServer): ProcessSpec {
  const { grpc, ui, metrics } = ports
  return {
    name: 'temporal',
    command: cli,
    args: [
      ...'server start-dev --ip 127.0.0.1 --log-level warn'.split(' '),
      ...`--port ${grpc} --ui-port ${ui} --metrics-port ${metrics}`.split(' '),
      ...'--sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=NORMAL'.split(' '),
      ...KEYWORDS.flatMap(name => ['--search-attribute', `${name}=Keyword`]),
      '--namespace',
      namespace,
      DATABASE_FLAG,
      databaseFile(dataDir),
    ],
    env: withoutTemporal(process.env, dataDir),
    isReady: () => answers(`127.0.0.1:${grpc}`, namespace),
    isInBackground: true,
    startTimeoutMs: START_TIMEOUT_MS,
    // A port that was free a moment ago may be that of somebody's outgoing connection now, for as long as that lasts.
    startAttempts: START_ATTEMPTS,
    stopSignal: 'SIGTERM',
    stopGraceMs: 3_000,
  }
}

/** Brings the namespace into the form we need, on our own server or that of the configuration. Errors: ConfigError. */
export async function prepareTemporal(
  config: Config,
  ownAddress: string | undefined,
  printLine: (line: string) => void,
): Promise<void> {
  const connection = ownAddress === undefined ? connectTemporal(config) : connectPlain(ownAddress)
  try {
    await prepareNamespace(connection, config.temporal.namespace, printLine)
  } finally {
    await connection.close()
  }
}

const NAMES_OUR_SERVER = new Set(['TEMPORAL_NAMESPACE', 'TEMPORAL_WORKER_BUILD_ID', 'TEMPORAL_CLI_PATH'])

/**
 * An environment in which nothing tells of another server: addresses, TLS, credentials, the profile file. A profile
 * file that is not there counts as none.
 */
export function withoutTemporal(env: NodeJS.ProcessEnv, dataDir: string): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => !name.startsWith('TEMPORAL_') || NAMES_OUR_SERVER.has(name))
  return { ...Object.fromEntries(kept), TEMPORAL_CONFIG_FILE: join(dataDir, 'temporal-profiles.none') }
}

async function answers(address: string, namespace: string): Promise<boolean> {
  const connection = connectPlain(address)
  try {
    await connection.withDeadline(Date.now() + CALL_DEADLINE_MS, () =>
      connection.workflowService.describeNamespace({ namespace }),
    )
    return true
  } finally {
    await connection.close()
  }
}
