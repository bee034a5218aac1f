import type { Config } from '../../infra/config.ts'
import type { Database } from '../../infra/postgres/database.ts'

/** What a command found: for people, and for programs with `--json`. */
export interface Output {
  text: string
  json: unknown
}

export interface OutputOptions {
  json?: boolean
}

export interface Operator {
  config: Config
  db: Database
}

const POOL_SIZE = 2
const ACQUIRE_TIMEOUT_MS = 5_000
/** `ledger verify` reads every row there is. */
const STATEMENT_TIMEOUT_MS = 3_600_000

/** Runs an operator's command against the database, the configured one or that of the running embedded stack. */
export async function operate(options: OutputOptions, work: (operator: Operator) => Promise<Output>): Promise<void> {
  const { operatorConfig } = await import('./operator-config.ts')
  const { requireDatabaseUrl } = await import('../../infra/config.ts')
  const { openDatabase } = await import('../../infra/postgres/database.ts')
  const config = operatorConfig(process.env)
  const url = requireDatabaseUrl(config)
  const db = openDatabase({
    url,
    poolSize: POOL_SIZE,
    applicationName: 'ipop-cli',
    acquireTimeoutMs: ACQUIRE_TIMEOUT_MS,
    statementTimeoutMs: STATEMENT_TIMEOUT_MS,
  })
  try {
    print(options, await work({ config, db }))
  } finally {
    await db.close()
  }
}

export function print(options: OutputOptions, { text, json }: Output): void {
  process.stdout.write(`${options.json === true ? JSON.stringify(json, undefined, 2) : text}\n`)
}
