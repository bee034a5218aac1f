import { Readable } from 'node:stream'
import { stringify } from 'csv-stringify'
import { badRequest } from './errors.ts'
import { firstUuidAt } from './ids.ts'

const EXPORT_PAGE = 1_000
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** A page of rows, the newest first: those with ids before the cursor. */
export interface KeysetPage {
  before: string | undefined
  limit: number
}

/** How far the clocks of two machines may be apart. */
const CLOCKS_APART_MS = 3_600_000

/**
 * What the ids of a page of calls are below: its cursor, or the end of its window. A call's id is made when its request
 * comes (UUIDv7), so before the call's own time, but for two machines' clocks.
 */
export function startOfPage({ before }: KeysetPage, to: Date | null): string {
  const end = firstUuidAt((to?.getTime() ?? Date.now()) + CLOCKS_APART_MS)
  return before === undefined || before > end ? end : before
}

export const isUuid = (text: string): boolean => UUID.test(text)

/** Errors: 400 naming the parameter where it is no cursor that a page gave. */
export function requireCursor(cursor: string | undefined, param: string): void {
  if (cursor !== undefined && !isUuid(cursor))
    throw badRequest(`\`${param}\` must be a cursor of an earlier page.`, param)
}

/** The page of rows that were read with one more than the limit, and the cursor of the next where there is one. */
export function cutPage<Row extends { id: string }>(
  rows: readonly Row[],
  limit: number,
): { page: Row[]; nextCursor: string | undefined } {
  const page = rows.slice(0, limit)
  return { page, nextCursor: rows.length > limit ? page.at(-1)?.id : undefined }
}

/** All rows of a list, page by page: no connection is held while the reader takes its time. */
export async function* everyPage<Row extends { id: string }>(
  select: (page: KeysetPage) => Promise<Row[]>,
  options: { before?: string | undefined; most?: number | undefined } = {},
): AsyncGenerator<Row[]> {
  let { before, most = Number.POSITIVE_INFINITY } = options
  while (most > 0) {
    const limit = Math.min(EXPORT_PAGE, most)
    const rows = await select({ before, limit })
    if (rows.length > 0) yield rows
    if (rows.length < limit) return
    most -= rows.length
    before = rows.at(-1)?.id
  }
}

/** The same, a row at a time, as what it is shown as. */
export async function* eachOf<Row, View>(pages: AsyncIterable<Row[]>, view: (row: Row) => View): AsyncGenerator<View> {
  for await (const rows of pages) yield* rows.map(view)
}

/** JSON text, made as it is read: `open`, the records with commas between them, then `close`, which is asked at the end. */
export function jsonStream(records: AsyncIterable<object>, open: string, close: () => string): Readable {
  return Readable.from(jsonParts(records, open, close), { objectMode: false })
}

async function* jsonParts(records: AsyncIterable<object>, open: string, close: () => string): AsyncGenerator<string> {
  let separator = open
  for await (const record of records) {
    yield separator + JSON.stringify(record)
    separator = ','
  }
  yield (separator === open ? open : '') + close()
}

/** CSV (RFC 4180) with a header line, made as it is read; texts that a spreadsheet would run are quoted. */
export function csvStream(records: AsyncIterable<object>, columns: string[]): Readable {
  const csv = stringify({ header: true, columns, escape_formulas: true, cast: { boolean: String } })
  const rows = Readable.from(records)
  rows.once('error', error => csv.destroy(error))
  csv.once('close', () => rows.destroy())
  return rows.pipe(csv)
}
