import { randomBytes } from 'node:crypto'
import pg from 'pg'
import { testStack } from '../support/stack.ts'

/** A database of the run's server that no other test uses. */
export interface OwnDatabase {
  name: string
  url: string
  drop(): Promise<void>
}

/** Makes an empty database, or a copy of one that nobody is connected to. */
export async function createDatabase(template = 'template0'): Promise<OwnDatabase> {
  const name = `cli_${randomBytes(6).toString('hex')}`
  await administer(`CREATE DATABASE ${name} TEMPLATE ${template}`)
  const url = new URL(testStack().databaseUrl)
  url.pathname = `/${name}`
  return { name, url: url.href, drop: () => administer(`DROP DATABASE ${name} WITH (FORCE)`) }
}

async function administer(statement: string): Promise<void> {
  const client = new pg.Client({ connectionString: testStack().databaseUrl })
  await client.connect()
  try {
    await client.query(statement)
  } finally {
    await client.end()
  }
}
