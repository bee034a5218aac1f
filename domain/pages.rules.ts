/** A page of a list, in OpenAI's shape: the id of its last item is the cursor of the next. */
export interface ListPage<Item> {
  object: 'list'
  data: Item[]
  has_more: boolean
  first_id: string | null
  last_id: string | null
}

/** The page of rows that were read with one more than the limit, which tells whether there are more. */
export function listPage<Row, Item extends { id: string }>(
  rows: readonly Row[],
  limit: number,
  view: (row: Row) => Item,
): ListPage<Item> {
  const data = rows.slice(0, limit).map(view)
  return {
    object: 'list',
    data,
    has_more: rows.length > limit,
    first_id: data[0]?.id ?? null,
    last_id: data.at(-1)?.id ?? null,
  }
}
