import { join } from 'node:path'
import { connectTemporal } from '../temporal/connection.ts'
import type { ProcessSpec } from './managed-process.ts'

const START_TIMEOUT_MS = 60_000
const CALL_DEADLINE_MS = 2_000

export interface TemporalPorts {
  grpc: number
  ui: number
  metrics: number
}

/**
 * Temporal's dev server with its UI on a SQLite file. WAL with synchronous=NORMAL is three times its default's speed
 * and loses nothing when the process dies; a power cut may lose the last moments, which the jobs in Postgres outlive.
 */
export function temporalServer(cli: string, dataDir: string, ports: TemporalPorts): ProcessSpec {
  const { grpc, ui, metrics } = ports
  return {
    name: 'temporal',
    command: cli,
    args: [
      'server start-dev --ip 127.0.0.1 --log-level warn',
      `--port ${grpc} --ui-port ${ui} --metrics-port ${metrics}`,
      '--sqlite-pragma journal_mode=WAL --sqlite-pragma synchronous=NORMAL',
    ]
      .flatMap(words => words.split(' '))
      .concat('--db-filename', join(dataDir, 'temporal.db')),
    env: process.env,
    isReady: () => answers(`127.0.0.1:${grpc}`),
    startTimeoutMs: START_TIMEOUT_MS,
    stopSignal: 'SIGTERM',
    stopGraceMs: 3_000,
  }
}

async function answers(address: string): Promise<boolean> {
  const connection = connectTemporal({ temporal: { address } })
  try {
    await connection.withDeadline(Date.now() + CALL_DEADLINE_MS, () =>
      connection.workflowService.describeNamespace({ namespace: 'default' }),
    )
    return true
  } finally {
    await connection.close()
  }
}
