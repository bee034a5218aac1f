import { queryOne, type Queryable } from '../../../infra/postgres/database.ts'
import { startOfPage, type KeysetPage } from '../../core/export.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { ownerValues, VISIBLE_TO_OWNER } from '../../core/visibility.ts'
import { edgesSql, edgeValues, type SplitWindow } from '../../core/time-window.rules.ts'

export interface CallFilter {
  owner: Owner
  from: Date | null
  to: Date | null
  model: string | undefined
  surface: string | undefined
  keyId: string | undefined
}

export interface UsageRow {
  id: string
  model: string
  tokens_in: number
  tokens_out: number
  cached_tokens: number | null
  reasoning_tokens: number | null
  cost_nanos: bigint
  provider_billed: boolean
  duration_ms: number
  created_at: Date
}

export interface UsageTotals {
  requests: bigint
  tokens_in: bigint
  tokens_out: bigint
  cost_nanos: bigint
}

const FILTERED = `${VISIBLE_TO_OWNER}
  AND ($3::text IS NULL OR model = $3::text) AND ($4::text IS NULL OR surface = $4::text)
  AND ($5::text IS NULL OR api_key_id = $5::text)`

const filterValues = ({ owner, model, surface, keyId }: CallFilter) => [
  ...ownerValues(owner),
  model ?? null,
  surface ?? null,
  keyId ?? null,
]

/** The newest first, before the cursor. */
export async function selectUsage(db: Queryable, filter: CallFilter, page: KeysetPage): Promise<UsageRow[]> {
  const { rows } = await db.query<UsageRow>(
    `SELECT id, model, tokens_in, tokens_out, cached_tokens, reasoning_tokens, cost_nanos, provider_billed, duration_ms, created_at
     FROM inference_requests WHERE ${FILTERED}
       AND ($6::timestamptz IS NULL OR created_at >= $6::timestamptz) AND ($7::timestamptz IS NULL OR created_at < $7::timestamptz)
       AND id < $8::uuid
     ORDER BY id DESC LIMIT $9::integer`,
    [...filterValues(filter), filter.from, filter.to, startOfPage(page, filter.to), page.limit],
  )
  return rows
}

/** Totals of the window's whole hours and of the rows at its edges. */
export async function selectTotals(db: Queryable, filter: CallFilter, window: SplitWindow): Promise<UsageTotals> {
  return queryOne<UsageTotals>(
    db,
    `SELECT coalesce(sum(requests), 0)::bigint AS requests, coalesce(sum(tokens_in), 0)::bigint AS tokens_in,
       coalesce(sum(tokens_out), 0)::bigint AS tokens_out, coalesce(sum(cost_nanos), 0)::bigint AS cost_nanos
     FROM (
       SELECT requests, tokens_in, tokens_out, cost_nanos FROM usage_hourly
       WHERE ${VISIBLE_TO_OWNER}
         AND ($3::text IS NULL OR model = $3::text) AND ($4::text IS NULL OR surface = $4::text)
         AND ($5::text IS NULL OR api_key_id = $5::text) AND $6::boolean
         AND ($7::timestamptz IS NULL OR hour >= $7::timestamptz) AND ($8::timestamptz IS NULL OR hour < $8::timestamptz)
       ${edgesSql(
         window,
         9,
         edge => `
       UNION ALL
       SELECT 1, tokens_in, tokens_out, cost_nanos FROM inference_requests WHERE ${FILTERED} AND ${edge}`,
       )}
     ) AS parts`,
    [
      ...filterValues(filter),
      window.hours !== undefined,
      window.hours?.from ?? null,
      window.hours?.to ?? null,
      ...edgeValues(window),
    ],
  )
}
