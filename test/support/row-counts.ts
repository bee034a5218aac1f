import type { Database } from '../../infra/postgres/database.ts'

const TABLES = [
  'files',
  'batches',
  'jobs',
  'idempotency_keys',
  'inference_requests',
  'ledger_entries',
  'holds',
  'provider_credentials',
  'agent_turns',
  'responses',
  'videos',
  'request_feedback',
]

/** How many rows of each kind the account has: what a refused request must not change. */
export async function rowCounts(db: Database, userId: string): Promise<Record<string, number>> {
  const counts = await Promise.all(
    TABLES.map(async table => {
      const { rows } = await db.query<{ count: bigint }>(`SELECT count(*) FROM ${table} WHERE user_id = $1`, [userId])
      return [table, Number(rows[0]?.count)] as const
    }),
  )
  return Object.fromEntries(counts)
}
