import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import pg from 'pg'

const MAIN = fileURLToPath(new URL('../dist/cli/main.js', import.meta.url))

/** Runs work on a connection of its own to a stack's database; rows have numbers for bigint. */
export async function withDatabase(databaseUrl, work) {
  const client = new pg.Client({
    connectionString: databaseUrl,
    application_name: 'ipop-bench',
    types: { getTypeParser: (oid, format) => (oid === pg.types.builtins.INT8 ? Number : pg.types.getTypeParser(oid, format)) },
  })
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}

/** Whether the books agree after the load, by the operator's own command; logs what does not. */
export async function ledgerIsClean({ databaseUrl }, log) {
  const env = { ...process.env, DATABASE_URL: databaseUrl }
  try {
    await promisify(execFile)(process.execPath, [MAIN, 'ledger', 'verify'], { env })
    return true
  } catch (error) {
    log(`ledger verify: ${error.stdout}${error.stderr}`)
    return false
  }
}
