import type { Static, TSchema } from 'typebox'
import { Value } from 'typebox/value'
import { badRequest } from './errors.ts'
import { isId, type IdPrefix } from './ids.ts'

/** How a row's place in its list is written as a cursor. */
export interface Cursor<Row, Position> {
  /** What a cursor is, for a sentence. */
  name: string
  of(row: Row): string
  /** Undefined where the text is no cursor of such a list. */
  parse(text: string): Position | undefined
}

/** OpenAI's cursors: the id of the last row. */
export const idCursor = (prefix: IdPrefix): Cursor<{ id: string }, string> => ({
  name: `the id of a ${prefix}`,
  of: row => row.id,
  parse: text => (isId(prefix, text) ? text : undefined),
})

/** A cursor of whatever orders the list, such as a time and an id; clients hand it back as it is. */
export const opaqueCursor = <Row, S extends TSchema>(
  schema: S,
  positionOf: (row: Row) => Static<S>,
): Cursor<Row, Static<S>> => ({
  name: 'a cursor of an earlier page',
  of: row => Buffer.from(JSON.stringify(positionOf(row))).toString('base64url'),
  parse: text => {
    const position = jsonOf(Buffer.from(text, 'base64url').toString())
    return Value.Check(schema, position) ? position : undefined
  },
})

type Order = 'asc' | 'desc'

/** What a request asks of a list. */
interface PageQuery {
  limit?: number
  after?: string
  order?: Order
}

interface PageOptions<Row, Position> {
  cursor: Cursor<Row, Position>
  /** Rows of a page, where the request does not tell. */
  size: number
  /** `desc`, the newest first, unless told. */
  order?: Order
  /** The query's name for the cursor; `after` unless told. */
  param?: string
}

/** What is to be read: so many rows behind the place, or from the beginning. */
interface PageRead<Position> {
  after: Position | undefined
  limit: number
  order: Order
}

export interface Page<Row> {
  rows: Row[]
  hasMore: boolean
  /** Undefined where this is the last page. */
  nextCursor: string | undefined
}

/** Reads a page, and one row more, which tells whether there is another. Errors: 400 for a cursor that is none. */
export async function readPage<Row, Position>(
  query: PageQuery,
  { cursor, size, order = 'desc', param = 'after' }: PageOptions<NoInfer<Row>, Position>,
  select: (page: PageRead<Position>) => Promise<Row[]>,
): Promise<Page<Row>> {
  const limit = query.limit ?? size
  const after = query.after === undefined ? undefined : cursor.parse(query.after)
  if (query.after !== undefined && after === undefined) {
    throw badRequest(`\`${param}\` must be ${cursor.name}.`, param)
  }
  const rows = await select({ after, limit: limit + 1, order: query.order ?? order })
  const page = rows.slice(0, limit)
  const last = page.at(-1)
  const hasMore = rows.length > limit
  return { rows: page, hasMore, nextCursor: hasMore && last !== undefined ? cursor.of(last) : undefined }
}

/** A page of a list, in OpenAI's shape: the id of its last item is the cursor of the next. */
export interface ListPage<Item> {
  object: 'list'
  data: Item[]
  has_more: boolean
  first_id: string | null
  last_id: string | null
}

export function listView<Row, Item extends { id: string }>(
  { rows, hasMore }: Page<Row>,
  view: (row: Row) => Item,
): ListPage<Item> {
  const data = rows.map(view)
  return {
    object: 'list',
    data,
    has_more: hasMore,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
