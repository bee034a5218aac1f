import { Readable } from 'node:stream'
import { stringify } from 'csv-stringify'
import type { Database } from '../../infra/postgres/database.ts'
import { badRequest } from '../errors.ts'
import { nanosOfUsd, usdNumber } from '../ledger/money.rules.ts'
import type { Caller } from '../tenancy/tenancy.rules.ts'
import { parseTime, splitWindow } from './usage.rules.ts'
import type { UsageExportQuery, UsageQuery, UsageRecord, UsageSummary } from './usage.schema.ts'
import { selectTotals, selectUsage, type CallFilter, type UsageRow } from './usage.sql.ts'

interface Deps {
  db: Database
}

const DEFAULT_PAGE = 100
const EXPORT_PAGE = 1_000
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A page of calls, the newest first, with totals over the whole filter, and the cursor of the next page. */
export async function getUsage(
  deps: Deps,
  caller: Caller,
  query: UsageQuery,
): Promise<{ summary: UsageSummary; nextCursor: string | undefined }> {
  if (query.after !== undefined && !UUID.test(query.after))
    throw badRequest('`after` must be a cursor of an earlier page.', 'after')
  const filter = filterOf(caller, query)
  const limit = query.limit ?? DEFAULT_PAGE
  const [rows, totals] = await Promise.all([
    selectUsage(deps.db, filter, { before: query.after, limit: limit + 1 }),
    selectTotals(deps.db, filter, splitWindow(filter.from, filter.to)),
  ])
  const page = rows.slice(0, limit)
  return {
    summary: {
      total_requests: Number(totals.requests),
      total_tokens_in: Number(totals.tokens_in),
      total_tokens_out: Number(totals.tokens_out),
      total_cost: usdNumber(totals.cost_nanos),
      records: page.map(recordView),
    },
    nextCursor: rows.length > limit ? page.at(-1)?.id : undefined,
  }
}

/** All calls of the filter up to now, streamed as the summary's JSON; the totals come last and are those of what was sent. */
export function exportUsageJson(deps: Deps, caller: Caller, query: UsageExportQuery): Readable {
  return Readable.from(jsonParts(usagePages(deps, exportFilter(caller, query))), { objectMode: false })
}

/** The same as CSV (RFC 4180), with a header line. */
export function exportUsageCsv(deps: Deps, caller: Caller, query: UsageExportQuery): Readable {
  const csv = stringify({ header: true, columns: CSV_COLUMNS, escape_formulas: true })
  const rows = Readable.from(csvRows(usagePages(deps, exportFilter(caller, query))))
  rows.once('error', error => csv.destroy(error))
  csv.once('close', () => rows.destroy())
  return rows.pipe(csv)
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

async function* csvRows(pages: AsyncIterable<UsageRecord[]>): AsyncGenerator<Record<string, unknown>> {
  for await (const records of pages) {
    for (const record of records) {
      const { token_details: details, ...fields } = record
      yield { ...fields, provider_billed: String(fields.provider_billed), ...details }
    }
  }
}

async function* jsonParts(pages: AsyncIterable<UsageRecord[]>): AsyncGenerator<string> {
  let separator = '{"records":['
  const totals = { requests: 0, tokensIn: 0, tokensOut: 0, costNanos: 0n }
  for await (const records of pages) {
    for (const record of records) {
      totals.requests += 1
      totals.tokensIn += record.tokens_in
      totals.tokensOut += record.tokens_out
      totals.costNanos += nanosOfUsd(record.cost)
      yield separator + JSON.stringify(record)
      separator = ','
    }
  }
  const start = separator === ',' ? '' : separator
  yield (
    `${start}],"total_requests":${totals.requests},"total_tokens_in":${totals.tokensIn},` +
    `"total_tokens_out":${totals.tokensOut},"total_cost":${usdNumber(totals.costNanos)}}`
  )
}

async function* usagePages(deps: Deps, filter: CallFilter): AsyncGenerator<UsageRecord[]> {
  for (let before: string | undefined; ;) {
    const rows = await selectUsage(deps.db, filter, { before, limit: EXPORT_PAGE })
    if (rows.length > 0) yield rows.map(recordView)
    if (rows.length < EXPORT_PAGE) return
    before = rows.at(-1)?.id
  }
}

/** Calls that come while the export runs are not part of it. */
function exportFilter(caller: Caller, query: UsageExportQuery): CallFilter {
  const filter = filterOf(caller, query)
  return { ...filter, to: filter.to ?? new Date() }
}

function filterOf(caller: Caller, query: UsageExportQuery): CallFilter {
  const from = parseTime(query.from, 'from')
  const to = parseTime(query.to, 'to')
  if (from !== null && to !== null && from >= to) throw badRequest('`from` must be before `to`.', 'from')
  return { owner: caller.owner, from, to, model: query.model, surface: query.surface, keyId: query.api_key_id }
}

const recordView = (row: UsageRow): UsageRecord => ({
  request_id: row.id,
  model: row.model,
  tokens_in: row.tokens_in,
  tokens_out: row.tokens_out,
  token_details: {
    cached_input_tokens: row.cached_tokens,
    reasoning_tokens: row.reasoning_tokens,
    total_tokens: row.tokens_in + row.tokens_out,
  },
  cost: usdNumber(row.cost_nanos),
  provider_billed: row.provider_billed,
  duration_ms: row.duration_ms,
  created_at: row.created_at.toISOString(),
})
