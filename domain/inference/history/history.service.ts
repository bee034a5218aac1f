import type { Readable } from 'node:stream'
import type { Database } from '../../../infra/postgres/database.ts'
import { badRequest, notFound } from '../../core/errors.ts'
import { csvStream, cutPage, eachOf, everyPage, isUuid, jsonStream, requireCursor } from '../../core/export.ts'
import { usdNumber } from '../../money/ledger/money.rules.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { parseWindow } from '../../core/time-window.rules.ts'
import { tokenDetails } from '../../money/usage/usage.service.ts'
import type { HistoryExportQuery, HistoryQuery, RequestHistoryRecord } from './history.schema.ts'
import { selectHistory, selectRequest, type HistoryFilter, type HistoryRow } from './history.sql.ts'

interface Deps {
  db: Database
}

const DEFAULT_PAGE = 100

/** A page of requests, the newest first, and the cursor of the next. */
export async function listHistory(
  deps: Deps,
  caller: Caller,
  query: HistoryQuery,
): Promise<{ records: RequestHistoryRecord[]; nextCursor: string | undefined }> {
  requireCursor(query.after, 'after')
  const limit = query.limit ?? DEFAULT_PAGE
  const rows = await selectHistory(deps.db, filterOf(caller, query), { before: query.after, limit: limit + 1 })
  const { page, nextCursor } = cutPage(rows, limit)
  return { records: page.map(recordView), nextCursor }
}

/** Errors: 404. */
export const getRequest = async (deps: Deps, caller: Caller, requestId: string): Promise<RequestHistoryRecord> =>
  recordView(await requireRequest(deps, caller, requestId))

/** Errors: 404. */
export async function requireRequest(deps: Deps, caller: Caller, requestId: string): Promise<HistoryRow> {
  const row = isUuid(requestId) ? await selectRequest(deps.db, caller.owner, requestId) : undefined
  if (row === undefined) throw notFound('request', 'request_id')
  return row
}

/** All requests of the filter up to now, as a JSON array. */
export const exportHistoryJson = (deps: Deps, caller: Caller, query: HistoryExportQuery): Readable =>
  jsonStream(eachOf(historyPages(deps, caller, query), recordView), '[', () => ']')

/** The same as CSV; the metadata is JSON in its column. */
export const exportHistoryCsv = (deps: Deps, caller: Caller, query: HistoryExportQuery): Readable =>
  csvStream(eachOf(historyPages(deps, caller, query), csvRow), CSV_COLUMNS)

const CSV_COLUMNS = [
  'request_id',
  'model',
  'requested_model_id',
  'execution_kind',
  'status',
  'error',
  'cancellation_reason',
  'tokens_in',
  'tokens_out',
  'cached_input_tokens',
  'reasoning_tokens',
  'total_tokens',
  'cost',
  'created_at',
  'completed_at',
  'request_metadata',
  'result_preview',
]

function csvRow(row: HistoryRow): object {
  const { token_details: details, ...fields } = recordView(row)
  return { ...fields, ...details }
}

/** Requests that come while the export runs are not part of it. */
function historyPages(deps: Deps, caller: Caller, query: HistoryExportQuery): AsyncIterable<HistoryRow[]> {
  const filter = filterOf(caller, query)
  const upToNow = { ...filter, to: filter.to ?? new Date() }
  return everyPage(page => selectHistory(deps.db, upToNow, page))
}

function filterOf(caller: Caller, query: HistoryExportQuery): HistoryFilter {
  if (query.replay_of !== undefined && !isUuid(query.replay_of)) {
    throw badRequest('`replay_of` must be the id of a request.', 'replay_of')
  }
  return {
    owner: caller.owner,
    ...parseWindow({ text: query.from, param: 'from' }, { text: query.to, param: 'to' }),
    model: query.model,
    surface: query.execution_kind,
    status: query.status,
    keyId: query.api_key_id,
    sessionId: query.session_id,
    replayOf: query.replay_of,
  }
}

function recordView(row: HistoryRow): RequestHistoryRecord {
  const createdAt = row.created_at.toISOString()
  const completedAt = new Date(row.created_at.getTime() + row.duration_ms).toISOString()
  const metadata = { ...row.metadata, ...(row.replay_of === null ? {} : { replay_of: row.replay_of }) }
  return {
    request_id: row.id,
    model: row.model,
    ...(row.requested_model === null ? {} : { requested_model_id: row.requested_model }),
    execution_kind: row.surface,
    status: row.status,
    ...errorFields(row),
    tokens_in: row.tokens_in,
    tokens_out: row.tokens_out,
    token_details: tokenDetails(row),
    cost: usdNumber(row.cost_nanos),
    ...(Object.keys(metadata).length === 0 ? {} : { request_metadata: metadata }),
    ...(row.preview === null ? {} : { result_preview: row.preview }),
    created_at: createdAt,
    started_at: createdAt,
    completed_at: completedAt,
    updated_at: completedAt,
  }
}

function errorFields({ status, error_code: code }: HistoryRow): { error?: string; cancellation_reason?: string } {
  if (code === null) return {}
  return status === 'canceled' ? { cancellation_reason: code } : { error: code }
}
