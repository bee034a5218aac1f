import type { Queryable } from '../../../infra/postgres/database.ts'
import { startOfPage, type KeysetPage } from '../../core/export.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { ownerValues, VISIBLE_TO_OWNER } from '../../core/visibility.ts'
import { edgesSql, edgeValues, type SplitWindow } from '../../core/time-window.rules.ts'

export interface MeterFilter {
  owner: Owner
  from: Date | null
  to: Date | null
  service: string | undefined
  meter: string | undefined
  /** A part of a meter's or a model's name, in any case. */
  search: string | undefined
}

export interface MeterEventRow {
  id: string
  service: string
  meter: string
  quantity: bigint
  free_quantity: bigint
  cost_nanos: bigint
  created_at: Date
}

export type MeterTotalRow = Omit<MeterEventRow, 'id' | 'created_at'> & { event_count: bigint }

/** A model call is metered in tokens, by the operation that it came through. */
const SERVICE = `'inference'`
const METER = `surface || '_tokens'`

const FILTERED = `($3::text IS NULL OR ${SERVICE} = $3::text) AND ($4::text IS NULL OR ${METER} = $4::text)
  AND ($5::text IS NULL OR strpos(lower(${METER}), $5::text) > 0 OR strpos(lower(model), $5::text) > 0)`

const filterValues = ({ owner, service, meter, search }: MeterFilter) => [
  ...ownerValues(owner),
  service ?? null,
  meter ?? null,
  search?.toLowerCase() ?? null,
]

/** The newest first, before the cursor. */
export async function selectMeterEvents(
  db: Queryable,
  filter: MeterFilter,
  page: KeysetPage,
): Promise<MeterEventRow[]> {
  const models = filter.search === undefined ? null : await modelsFound(db, filter)
  const { rows } = await db.query<MeterEventRow>(
    `SELECT id, ${SERVICE} AS service, ${METER} AS meter, tokens_in::bigint + tokens_out AS quantity,
       (CASE WHEN cost_nanos = 0 THEN tokens_in::bigint + tokens_out ELSE 0 END)::bigint AS free_quantity, cost_nanos, created_at
     FROM inference_requests WHERE ${VISIBLE_TO_OWNER} AND ${FILTERED}
       AND ($6::timestamptz IS NULL OR created_at >= $6::timestamptz) AND ($7::timestamptz IS NULL OR created_at < $7::timestamptz)
       AND id < $8::uuid AND ($10::text[] IS NULL OR model = ANY($10::text[]))
     ORDER BY id DESC LIMIT $9::integer`,
    [...filterValues(filter), filter.from, filter.to, startOfPage(page, filter.to), page.limit, models],
  )
  return rows
}

/** The models of all calls that a search finds: by their names an index finds the calls. */
async function modelsFound(db: Queryable, filter: MeterFilter): Promise<string[]> {
  const { rows } = await db.query<{ model: string }>(
    `SELECT DISTINCT model FROM usage_hourly
     WHERE ${VISIBLE_TO_OWNER} AND ${FILTERED}`,
    filterValues(filter),
  )
  return rows.map(row => row.model)
}

/** Totals by meter, of the window's whole hours and of the rows at its edges. */
export async function selectMeterTotals(
  db: Queryable,
  filter: MeterFilter,
  window: SplitWindow,
): Promise<MeterTotalRow[]> {
  const { rows } = await db.query<MeterTotalRow>(
    `SELECT ${SERVICE} AS service, meter, sum(events)::bigint AS event_count, sum(quantity)::bigint AS quantity,
       sum(free_quantity)::bigint AS free_quantity, sum(cost_nanos)::bigint AS cost_nanos
     FROM (
       SELECT ${METER} AS meter, requests AS events, tokens_in + tokens_out AS quantity, free_tokens AS free_quantity, cost_nanos
       FROM usage_hourly
       WHERE ${VISIBLE_TO_OWNER} AND ${FILTERED} AND $6::boolean
         AND ($7::timestamptz IS NULL OR hour >= $7::timestamptz) AND ($8::timestamptz IS NULL OR hour < $8::timestamptz)
       ${edgesSql(
         window,
         9,
         edge => `
       UNION ALL
       SELECT ${METER}, 1, tokens_in::bigint + tokens_out, CASE WHEN cost_nanos = 0 THEN tokens_in::bigint + tokens_out ELSE 0 END, cost_nanos
       FROM inference_requests WHERE ${VISIBLE_TO_OWNER} AND ${FILTERED} AND ${edge}`,
       )}
     ) AS parts
     GROUP BY meter ORDER BY meter`,
    [
      ...filterValues(filter),
      window.hours !== undefined,
      window.hours?.from ?? null,
      window.hours?.to ?? null,
      ...edgeValues(window),
    ],
  )
  return rows
}
