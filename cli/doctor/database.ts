import type { Config } from '../../infra/config.ts'
import { openDatabase, queryOne, type Database } from '../../infra/postgres/database.ts'
import { migrationVersions } from '../../infra/postgres/migrate.ts'
import type { Check } from './findings.ts'

const LEAST_VERSION = 150_000
const LEAST_MONTHS_AHEAD = 2

export const databaseChecks = (config: Config): Check[] => [
  {
    name: 'Postgres',
    look: () => withDatabase(config, serverVersion),
    remedy: 'Set DATABASE_URL to a Postgres 15+ database that runs, or run `npm start` for an embedded one.',
  },
  { name: 'Migrations', look: () => migrations(config), remedy: 'Run `npx ipop migrate`.' },
  {
    name: 'Month partitions',
    look: () => withDatabase(config, monthsAhead),
    remedy: 'Run `npx ipop migrate`, and keep a control worker running: it makes them ahead of time.',
  },
]

function urlOf({ database }: Config): string {
  if (database.url === undefined) throw new Error('DATABASE_URL is not set')
  return database.url
}

async function withDatabase<T>(config: Config, work: (db: Database) => Promise<T>): Promise<T> {
  const url = urlOf(config)
  const db = openDatabase({ url, poolSize: 1, applicationName: 'ipop-doctor', acquireTimeoutMs: 5_000 })
  try {
    return await work(db)
  } catch (error) {
    throw error instanceof Error && error.name === 'DatabaseUnavailable' ? error.cause : error
  } finally {
    await db.close()
  }
}

async function serverVersion(db: Database): Promise<string> {
  const { number, text } = await queryOne<{ number: number; text: string }>(
    db,
    `SELECT current_setting('server_version_num')::integer AS number, current_setting('server_version') AS text`,
  )
  if (number < LEAST_VERSION) throw new Error(`version ${text} is too old`)
  return `version ${text}`
}

async function migrations(config: Config): Promise<string> {
  const { database, files } = await migrationVersions(urlOf(config))
  if (database < files) throw new Error(`the database is at version ${database}, this program needs ${files}`)
  return `version ${database}${database > files ? `, newer than this program's ${files}` : ''}`
}

/** How many months after this one every partitioned table has a partition for, without a gap. */
async function monthsAhead(db: Database): Promise<string> {
  const { ahead } = await queryOne<{ ahead: number }>(
    db,
    `SELECT coalesce(min(step) - 1, 36) AS ahead
     FROM generate_series(0, 36) AS step, unnest(ARRAY['ledger_entries', 'inference_requests']) AS parent
     WHERE to_regclass(parent || '_' || to_char(date_trunc('month', now() AT TIME ZONE 'UTC') + step * interval '1 month', 'YYYY_MM')) IS NULL`,
  )
  if (ahead < LEAST_MONTHS_AHEAD) throw new Error(`there are only ${Math.max(0, ahead)} months ahead`)
  return `${ahead} months ahead`
}
