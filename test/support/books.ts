import type { Database } from '../../infra/postgres/database.ts'
import type { Tenant } from './tenants.ts'

interface CallRow {
  id: string
  surface: string
  model: string
  upstream: string | null
  upstream_model: string | null
  status: string
  error_code: string | null
  streamed: boolean
  tokens_in: number
  tokens_out: number
  cached_tokens: number | null
  cache_write_tokens: number | null
  reasoning_tokens: number | null
  usage_source: string
  cost_nanos: bigint
  fallback_count: number
  first_token_ms: number | null
}

interface ChargeRow {
  reference: string
  amount_nanos: bigint
}

interface Totals {
  requests: bigint
  tokens_in: bigint
  tokens_out: bigint
  cost_nanos: bigint
}

/** What the database holds of an account: its calls and charges oldest first, and the sums that must agree. */
export interface Books {
  calls: CallRow[]
  charges: ChargeRow[]
  hourly: Totals
  balanceNanos: bigint
  entriesNanos: bigint
}

export async function booksOf(db: Database, { userId }: Pick<Tenant, 'userId'>): Promise<Books> {
  const rows = async <Row extends object>(text: string) => (await db.query<Row>(text, [userId])).rows
  const [calls, charges, hourly, account, entries] = await Promise.all([
    rows<CallRow>('SELECT * FROM inference_requests WHERE user_id = $1 ORDER BY id'),
    rows<ChargeRow>(
      "SELECT reference, amount_nanos FROM ledger_entries WHERE user_id = $1 AND kind = 'charge' ORDER BY reference",
    ),
    rows<Totals>(
      `SELECT coalesce(sum(requests), 0)::bigint AS requests, coalesce(sum(tokens_in), 0)::bigint AS tokens_in,
         coalesce(sum(tokens_out), 0)::bigint AS tokens_out, coalesce(sum(cost_nanos), 0)::bigint AS cost_nanos
       FROM usage_hourly WHERE user_id = $1`,
    ),
    rows<{ balance_nanos: bigint }>('SELECT balance_nanos FROM accounts WHERE user_id = $1'),
    rows<{ sum: bigint }>(
      'SELECT coalesce(sum(amount_nanos), 0)::bigint AS sum FROM ledger_entries WHERE user_id = $1',
    ),
  ])
  const none = { requests: 0n, tokens_in: 0n, tokens_out: 0n, cost_nanos: 0n }
  return {
    calls,
    charges,
    hourly: hourly[0] ?? none,
    balanceNanos: account[0]?.balance_nanos ?? 0n,
    entriesNanos: entries[0]?.sum ?? 0n,
  }
}
