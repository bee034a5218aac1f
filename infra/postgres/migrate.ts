import { fileURLToPath } from 'node:url'
import pg from 'pg'
import Postgrator from 'postgrator'

const MIGRATIONS = fileURLToPath(new URL('./migrations/*.sql', import.meta.url))
/** Any constant that no other program uses on this database. */
const ADVISORY_LOCK = 7_417_001
const MONTHS_AHEAD = 12

export interface MigrationReport {
  applied: string[]
  version: number
}

/**
 * Brings the database to the newest version: numbered SQL files, each in its own transaction, checked against what
 * was applied before, one process at a time (others wait, then find nothing to do).
 */
export async function migrate(databaseUrl: string): Promise<MigrationReport> {
  const client = await connected({ connectionString: databaseUrl, application_name: 'ipop-migrate' })
  try {
    await client.query('SELECT pg_advisory_lock($1)', [ADVISORY_LOCK])
    const migrations = migrationsOn(client)
    const applied = await migrations.migrate()
    await client.query('SELECT ensure_month_partitions($1)', [MONTHS_AHEAD])
    return {
      applied: applied.map(step => `${step.version} ${step.name}`),
      version: await migrations.getDatabaseVersion(),
    }
  } finally {
    await client.end()
  }
}

/** The version of the database and of the files: they differ where a migration is due. */
export async function migrationVersions(databaseUrl: string): Promise<{ database: number; files: number }> {
  const client = await connected({ connectionString: databaseUrl, connectionTimeoutMillis: 5_000 })
  try {
    const migrations = migrationsOn(client)
    return { database: await migrations.getDatabaseVersion(), files: await migrations.getMaxVersion() }
  } finally {
    await client.end()
  }
}

/** A connection that breaks fails what is asked on it, and must not end the process besides. */
async function connected(config: pg.ClientConfig): Promise<pg.Client> {
  const client = new pg.Client(config)
  client.on('error', () => undefined)
  await client.connect()
  return client
}

function migrationsOn(client: pg.Client): Postgrator {
  return new Postgrator({
    migrationPattern: MIGRATIONS,
    driver: 'pg',
    schemaTable: 'schema_migrations',
    execQuery: query => client.query(query),
    execSqlScript: async script => {
      await client.query('BEGIN')
      try {
        await client.query(script)
        await client.query('COMMIT')
      } catch (error) {
        await client.query('ROLLBACK')
        throw error
      }
    },
  })
}
