import type { Readable } from 'node:stream'
import type { Database } from '../../../infra/postgres/database.ts'
import { csvStream, cutPage, eachOf, everyPage, jsonStream, requireCursor } from '../../core/export.ts'
import { usdNumber } from '../ledger/money.rules.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { parseWindow, splitWindow } from '../../core/time-window.rules.ts'
import type { MeterEvent, MeterEventsQuery, MeterEventSummary } from './meter.schema.ts'
import {
  selectMeterEvents,
  selectMeterTotals,
  type MeterEventRow,
  type MeterFilter,
  type MeterTotalRow,
} from './meter.sql.ts'

interface Deps {
  db: Database
}

const DEFAULT_PAGE = 500

/** A page of events, the newest first, totals over the whole filter, and the cursor of the next page. */
export async function getMeterEvents(
  deps: Deps,
  caller: Caller,
  query: MeterEventsQuery,
): Promise<{ summary: MeterEventSummary; nextCursor: string | undefined }> {
  requireCursor(query.cursor, 'cursor')
  const filter = filterOf(caller, query)
  const limit = query.limit ?? DEFAULT_PAGE
  const [rows, totals] = await Promise.all([
    selectMeterEvents(deps.db, filter, { before: query.cursor, limit: limit + 1 }),
    selectMeterTotals(deps.db, filter, splitWindow(filter.from, filter.to)),
  ])
  const { page, nextCursor } = cutPage(rows, limit)
  return { summary: { ...totalsView(totals), records: page.map(eventView) }, nextCursor }
}

/** All events of the filter up to now, the page's limit only where one is given, as the summary's JSON. */
export async function exportMeterEventsJson(deps: Deps, caller: Caller, query: MeterEventsQuery): Promise<Readable> {
  const filter = exportFilter(caller, query)
  const totals = totalsView(await selectMeterTotals(deps.db, filter, splitWindow(filter.from, filter.to)))
  const open = `${JSON.stringify(totals).slice(0, -1)},"records":[`
  return jsonStream(eachOf(eventPages(deps, filter, query), eventView), open, () => ']}')
}

/** The same as CSV. */
export const exportMeterEventsCsv = (deps: Deps, caller: Caller, query: MeterEventsQuery): Readable =>
  csvStream(eachOf(eventPages(deps, exportFilter(caller, query), query), eventView), CSV_COLUMNS)

const CSV_COLUMNS = [
  'id',
  'service',
  'meter',
  'quantity',
  'free_quantity',
  'billable_quantity',
  'cost_usd',
  'created_at',
]

function eventPages(deps: Deps, filter: MeterFilter, query: MeterEventsQuery): AsyncIterable<MeterEventRow[]> {
  return everyPage(page => selectMeterEvents(deps.db, filter, page), { before: query.cursor, most: query.limit })
}

/** Events that come while the export runs are not part of it. */
function exportFilter(caller: Caller, query: MeterEventsQuery): MeterFilter {
  requireCursor(query.cursor, 'cursor')
  const filter = filterOf(caller, query)
  return { ...filter, to: filter.to ?? new Date() }
}

const filterOf = (caller: Caller, query: MeterEventsQuery): MeterFilter => ({
  owner: caller.owner,
  ...parseWindow(
    { text: query.created_at_from, param: 'created_at_from' },
    { text: query.created_at_to, param: 'created_at_to' },
  ),
  service: query.service,
  meter: query.meter,
  search: query.search,
})

type Quantities = Pick<MeterEventRow, 'quantity' | 'free_quantity' | 'cost_nanos'>

const quantitiesView = ({ quantity, free_quantity: free, cost_nanos: costNanos }: Quantities) => ({
  quantity: Number(quantity),
  free_quantity: Number(free),
  billable_quantity: Number(quantity - free),
  cost_usd: usdNumber(costNanos),
})

const eventView = (row: MeterEventRow): MeterEvent => ({
  id: row.id,
  service: row.service,
  meter: row.meter,
  ...quantitiesView(row),
  created_at: row.created_at.toISOString(),
})

function totalsView(rows: readonly MeterTotalRow[]): Omit<MeterEventSummary, 'records'> {
  const sum = (of: (row: MeterTotalRow) => bigint) => rows.reduce((total, row) => total + of(row), 0n)
  const all = quantitiesView({
    quantity: sum(row => row.quantity),
    free_quantity: sum(row => row.free_quantity),
    cost_nanos: sum(row => row.cost_nanos),
  })
  return {
    object: 'meter_events.summary',
    total_events: Number(sum(row => row.event_count)),
    total_quantity: all.quantity,
    total_free_quantity: all.free_quantity,
    total_billable_quantity: all.billable_quantity,
    total_cost_usd: all.cost_usd,
    meters: rows.map(row => ({
      service: row.service,
      meter: row.meter,
      event_count: Number(row.event_count),
      ...quantitiesView(row),
    })),
  }
}
