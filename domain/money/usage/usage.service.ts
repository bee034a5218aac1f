import type { Readable } from 'node:stream'
import type { Database } from '../../../infra/postgres/database.ts'
import { csvStream, cutPage, eachOf, everyPage, jsonStream, requireCursor } from '../../core/export.ts'
import { usdNumber } from '../ledger/money.rules.ts'
import type { Caller, Owner } from '../../core/caller.rules.ts'
import { parseWindow, splitWindow } from '../../core/time-window.rules.ts'
import type { TokenDetails, UsageExportQuery, UsageQuery, UsageRecord, UsageSummary } from './usage.schema.ts'
import { selectTotals, selectUsage, type CallFilter, type UsageRow } from './usage.sql.ts'

interface Deps {
  db: Database
}

const DEFAULT_PAGE = 100

/** A page of calls, the newest first, with totals over the whole filter, and the cursor of the next page. */
export async function getUsage(
  deps: Deps,
  caller: Caller,
  query: UsageQuery,
): Promise<{ summary: UsageSummary; nextCursor: string | undefined }> {
  requireCursor(query.after, 'after')
  const filter = filterOf(caller, query)
  const limit = query.limit ?? DEFAULT_PAGE
  const [rows, totals] = await Promise.all([
    selectUsage(deps.db, filter, { before: query.after, limit: limit + 1 }),
    selectTotals(deps.db, filter, splitWindow(filter.from, filter.to)),
  ])
  const { page, nextCursor } = cutPage(rows, limit)
  return {
    summary: {
      total_requests: Number(totals.requests),
      total_tokens_in: Number(totals.tokens_in),
      total_tokens_out: Number(totals.tokens_out),
      total_cost: usdNumber(totals.cost_nanos),
      records: page.map(recordView),
    },
    nextCursor,
  }
}

/** The mean output of the owner's calls of a model; undefined where there were none. */
export async function meanOutputTokens(
  { db }: Deps,
  owner: Owner,
  model: string,
  since: Date,
): Promise<number | undefined> {
  const filter = { owner, from: since, to: null, model, surface: undefined, keyId: undefined }
  const totals = await selectTotals(db, filter, splitWindow(since, null))
  return totals.requests === 0n ? undefined : Math.round(Number(totals.tokens_out) / Number(totals.requests))
}

/** All calls of the filter up to now, streamed as the summary's JSON; the totals come last and are those of what was sent. */
export function exportUsageJson(deps: Deps, caller: Caller, query: UsageExportQuery): Readable {
  const totals = { requests: 0, tokensIn: 0, tokensOut: 0, costNanos: 0n }
  const counted = (row: UsageRow): UsageRecord => {
    totals.requests += 1
    totals.tokensIn += row.tokens_in
    totals.tokensOut += row.tokens_out
    totals.costNanos += row.cost_nanos
    return recordView(row)
  }
  const close = () =>
    `],"total_requests":${totals.requests},"total_tokens_in":${totals.tokensIn},` +
    `"total_tokens_out":${totals.tokensOut},"total_cost":${usdNumber(totals.costNanos)}}`
  return jsonStream(eachOf(usagePages(deps, caller, query), counted), '{"records":[', close)
}

/** The same as CSV. */
export function exportUsageCsv(deps: Deps, caller: Caller, query: UsageExportQuery): Readable {
  return csvStream(eachOf(usagePages(deps, caller, query), csvRow), CSV_COLUMNS)
}

const CSV_COLUMNS = [
  'request_id',
  'created_at',
  'model',
  'tokens_in',
  'tokens_out',
  'cached_input_tokens',
  'reasoning_tokens',
  'cost',
  'provider_billed',
  'duration_ms',
]

function csvRow(row: UsageRow): object {
  const { token_details: details, ...fields } = recordView(row)
  return { ...fields, ...details }
}

/** Calls that come while the export runs are not part of it. */
function usagePages(deps: Deps, caller: Caller, query: UsageExportQuery): AsyncIterable<UsageRow[]> {
  const filter = filterOf(caller, query)
  const upToNow = { ...filter, to: filter.to ?? new Date() }
  return everyPage(page => selectUsage(deps.db, upToNow, page))
}

function filterOf(caller: Caller, query: UsageExportQuery): CallFilter {
  const window = parseWindow({ text: query.from, param: 'from' }, { text: query.to, param: 'to' })
  return { owner: caller.owner, ...window, model: query.model, surface: query.surface, keyId: query.api_key_id }
}

const recordView = (row: UsageRow): UsageRecord => ({
  request_id: row.id,
  model: row.model,
  tokens_in: row.tokens_in,
  tokens_out: row.tokens_out,
  token_details: tokenDetails(row),
  cost: usdNumber(row.cost_nanos),
  provider_billed: row.provider_billed,
  duration_ms: row.duration_ms,
  created_at: row.created_at.toISOString(),
})

type TokenColumns = Pick<UsageRow, 'tokens_in' | 'tokens_out' | 'cached_tokens' | 'reasoning_tokens'>

export const tokenDetails = (row: TokenColumns): TokenDetails => ({
  cached_input_tokens: row.cached_tokens,
  reasoning_tokens: row.reasoning_tokens,
  total_tokens: row.tokens_in + row.tokens_out,
})
