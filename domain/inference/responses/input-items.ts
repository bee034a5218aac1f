import type { Database } from '../../../infra/postgres/database.ts'
import { badRequest } from '../../core/errors.ts'
import type { Caller, Owner } from '../../core/caller.rules.ts'
import { storedValue } from '../threads/stored-json.ts'
import type { ThreadDeps } from '../threads/thread-work.ts'
import type { InputItemsQuery, ResponseInputItemList, ResponseItem } from './response.schema.ts'
import { selectInput, selectInputPosition, type InputRun } from './response.sql.ts'
import { askerOf, holdContent, requireResponse, type Hold } from './stored-response.ts'

interface Deps extends ThreadDeps {
  db: Database
}

const DEFAULT_PAGE = 20
/** Of a page together, but for its last item, which may be of any size. */
const PAGE_BYTES = 4 * 1024 * 1024
/** Behind every position there is. */
const LAST_PLACE = 2 ** 31

/**
 * A page of the items that the response was given: as many as were asked for, or fewer where they are large.
 * Errors: 400 for a cursor, 404, 503.
 */
export async function listInputItems(
  deps: Deps,
  caller: Caller,
  responseId: string,
  query: InputItemsQuery,
  hold: Hold,
): Promise<ResponseInputItemList> {
  const { owner } = caller
  const { content_bytes: bytes } = await requireResponse(deps, caller, responseId)
  const run = await runOf(deps, owner, responseId, query)
  holdContent(hold, Number(bytes))
  const { items, hasMore } = await selectInput(deps.db, owner, responseId, run)
  const data = (await storedValue(deps, askerOf(owner), `[${items.join(',')}]`)) as ResponseItem[]
  const [first, last] = [data[0], data.at(-1)]
  return {
    object: 'list',
    data,
    has_more: hasMore,
    ...(first === undefined ? {} : { first_id: first.id }),
    ...(last === undefined ? {} : { last_id: last.id }),
  }
}

/** `before` goes back from an item, the nearest first; else a page goes on after one, in the order asked for. */
async function runOf(
  deps: Deps,
  owner: Owner,
  responseId: string,
  { after, before, order, limit = DEFAULT_PAGE }: InputItemsQuery,
): Promise<InputRun> {
  const isDescending = order === 'desc'
  const goesUp = before === undefined ? !isDescending : isDescending
  const param = before === undefined ? 'after' : 'before'
  const cursor = before ?? after
  const start = goesUp ? 0 : LAST_PLACE
  const from = cursor === undefined ? start : await positionOf(deps, owner, responseId, cursor, param)
  return { from, direction: goesUp ? 'up' : 'down', limit, mostBytes: PAGE_BYTES }
}

async function positionOf(
  deps: Deps,
  owner: Owner,
  responseId: string,
  itemId: string,
  param: string,
): Promise<number> {
  const position = await selectInputPosition(deps.db, owner, responseId, itemId)
  if (position !== undefined) return position
  throw badRequest(`\`${param}\` must be the id of an item of this response.`, param)
}
