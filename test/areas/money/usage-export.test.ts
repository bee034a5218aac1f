import { describe, expect, test } from '@jest/globals'
import type { UsageRecord, UsageSummary } from '../../../domain/money/usage/usage.schema.ts'
import { callAt, insertPastCalls } from '../../support/calls.ts'
import { testDatabase } from '../../support/database.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const HOUR_MS = 3_600_000
/** A whole hour of yesterday. */
const HOUR = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - 24 * HOUR_MS
const at = (hours: number, ms = 0) => new Date(HOUR + hours * HOUR_MS + ms)

const totalsOf = ({ records: _, ...totals }: UsageSummary) => totals

describe('the export', () => {
  test('is the same as JSON, as CSV and as all pages, and comes in parts', async () => {
    const tenant = await newTenant(db)
    const count = 3_500
    await insertPastCalls(
      db,
      Array.from({ length: count }, (_, index) =>
        callAt(tenant, at(0, index * 2_000), {
          model: index % 2 === 0 ? 'test/plain' : '=cmd|"/c calc",\n',
          usage: { input: index, output: 7, cached: index % 3, reasoning: index % 5 },
          costNanos: BigInt(index) * 1_000_003n,
        }),
      ),
    )
    const json = await tenant.api.get<UsageSummary>('/usage/export')
    expect(json.headers.get('transfer-encoding')).toBe('chunked')
    expect(json.headers.get('content-type')).toContain('application/json')
    expect(totalsOf(json.body)).toEqual(totalsOf((await tenant.api.get<UsageSummary>('/usage')).body))
    expect(json.body.total_requests).toBe(count)
    expect(json.body.records).toHaveLength(count)
    const firstPage = (await tenant.api.get<UsageSummary>('/usage?limit=1000')).body.records
    expect(json.body.records.slice(0, 1_000)).toEqual(firstPage)

    const csv = await tenant.api.get('/usage/export', { accept: 'text/csv' })
    expect(csv.headers.get('content-type')).toContain('text/csv')
    expect(csv.headers.get('transfer-encoding')).toBe('chunked')
    expect(csv.headers.get('content-disposition')).toBe('attachment; filename="usage.csv"')
    expect(csvRows(csv.text)).toEqual(json.body.records.map(csvRow))
  })

  test('has an end where there is nothing in it', async () => {
    const { api } = await newTenant(db)
    const nothing = { records: [], total_requests: 0, total_tokens_in: 0, total_tokens_out: 0, total_cost: 0 }
    expect((await api.get('/usage/export')).body).toEqual(nothing)
    expect(csvRows((await api.get('/usage/export', { accept: 'text/csv' })).text)).toEqual([])
  })

  test('keeps to the filter', async () => {
    const tenant = await newTenant(db)
    const ofHour = (hours: number) => callAt(tenant, at(hours), { costNanos: BigInt(hours + 1) })
    await insertPastCalls(db, [0, 1, 2].map(ofHour))
    const window = new URLSearchParams({ from: at(1).toISOString(), to: at(2).toISOString() }).toString()
    const { body } = await tenant.api.get<UsageSummary>(`/usage/export?${window}`)
    expect(body).toMatchObject({ total_requests: 1, total_cost: 2e-9, records: [{ cost: 2e-9 }] })
  })

  const COLUMNS = [
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

  /** A record as the CSV says it; a text that a spreadsheet would take for a formula is quoted. */
  function csvRow({ token_details: details, ...record }: UsageRecord): string[] {
    const fields: Record<string, unknown> = { ...record, ...details }
    return COLUMNS.map(column => String(fields[column])).map(value => (value.startsWith('=') ? `'${value}` : value))
  }

  /** The lines behind the header, by RFC 4180. */
  function csvRows(content: string): string[][] {
    const fields = [...content.matchAll(/("(?:[^"]|"")*"|[^,\n]*)(,|\n)/g)].map(([, field = '', end]) => ({
      value: field.startsWith('"') ? field.slice(1, -1).replaceAll('""', '"') : field,
      isLast: end === '\n',
    }))
    const rows: string[][] = [[]]
    for (const { value, isLast } of fields) {
      rows.at(-1)?.push(value)
      if (isLast) rows.push([])
    }
    expect(rows.at(-1)).toEqual([])
    expect(rows[0]).toEqual(COLUMNS)
    return rows.slice(1, -1)
  }
})
