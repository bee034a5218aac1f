import type { Queryable } from '../../../infra/postgres/database.ts'
import { LARGE_CHARACTERS } from '../../../infra/large-json.ts'
import { notFound } from '../../core/errors.ts'
import { isId } from '../../core/ids.ts'
import type { Caller, Owner } from '../../core/caller.rules.ts'
import { writtenJson, storedValue } from '../threads/stored-json.ts'
import type { TaskOwner, ThreadDeps } from '../threads/thread-work.ts'
import type { ResponseState } from './response.rules.ts'
import type { ResponseItem } from './response.schema.ts'
import { insertResponse, selectOutput, selectResponse, type ResponseRow } from './response.sql.ts'

interface Deps extends ThreadDeps {
  db: Queryable
}

/** Told of bytes that are about to be loaded for a request. Errors: 503 where a process holds too many. */
export type Hold = (bytes: number) => void

/** Loaded content that is smaller is not worth counting. */
export function holdContent(hold: Hold, bytes: number): void {
  if (bytes > LARGE_CHARACTERS) hold(bytes)
}

/** A response as it is stored when it comes. Errors: 503. */
export async function storeResponse(
  deps: ThreadDeps,
  db: Queryable,
  caller: Caller,
  state: ResponseState,
  input: string | Uint8Array,
): Promise<void> {
  await insertResponse(db, caller, state, {
    input,
    output: await writtenJson(deps, askerOf(caller.owner), state.output),
  })
}

export const askerOf = ({ userId }: Owner): TaskOwner => ({ tenant: userId })

/** Without its input and output. Errors: 404. */
export async function requireResponse(
  { db }: { db: Queryable },
  caller: Caller,
  responseId: string,
): Promise<ResponseRow> {
  const row = isId('resp', responseId) ? await selectResponse(db, caller.owner, responseId) : undefined
  if (row === undefined) throw notFound('response', 'response_id')
  return row
}

/** A response with its output, which is read where it has ended. Errors: 503. */
export async function loadedState(deps: Deps, owner: Owner, row: ResponseRow, hold: Hold): Promise<ResponseState> {
  if (['queued', 'in_progress'].includes(row.status)) return stateOf(row, [])
  holdContent(hold, Number(row.content_bytes))
  const json = await selectOutput(deps.db, owner, row.id)
  return stateOf(row, (await storedValue(deps, askerOf(owner), json ?? '[]')) as ResponseItem[])
}

/** With the output that its maker knows. */
export const stateOf = (row: ResponseRow, output: ResponseItem[]): ResponseState => ({
  id: row.id,
  model: row.model,
  createdAt: row.created_at,
  previousResponseId: row.previous_response_id,
  settings: row.settings,
  status: row.status,
  background: row.background,
  output,
  usage: row.usage,
  error: row.error,
  incompleteReason: row.incomplete_reason,
})
