import type { Database } from '../../infra/postgres/database.ts'

/**
 * Keeps rows locked until the function that it gives is called: work that writes them waits so long. However long the
 * test takes meanwhile: the server does not end this transaction for being idle.
 */
export async function lockRows(db: Database, select: string, values: unknown[]): Promise<() => Promise<void>> {
  const client = await db.pool.connect()
  await client.query('BEGIN')
  await client.query('SET LOCAL idle_in_transaction_session_timeout = 0')
  await client.query(`${select} FOR UPDATE`, values)
  return async () => {
    await client.query('COMMIT')
    client.release()
  }
}
