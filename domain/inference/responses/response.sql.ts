import { queryFirst, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { Caller, Owner } from '../../core/caller.rules.ts'
import { ownerValues, VISIBLE_TO_OWNER, visibleIn } from '../../core/visibility.ts'
import type { ResponseSettings, ResponseState } from './response.rules.ts'

/** A response but for its input and output, which may be of any size. */
export interface ResponseRow {
  id: string
  model: string
  status: ResponseState['status']
  background: boolean
  previous_response_id: string | null
  settings: ResponseSettings
  usage: ResponseState['usage']
  error: ResponseState['error']
  incomplete_reason: string | null
  created_at: Date
  /** Of input and output as JSON. */
  content_bytes: bigint
}

const COLUMNS =
  'id, model, status, background, previous_response_id, settings, usage, error, incomplete_reason, created_at, content_bytes'

export async function insertResponse(
  db: Queryable,
  caller: Caller,
  state: ResponseState,
  content: { input: string | Uint8Array; output: string | Uint8Array },
): Promise<void> {
  await db.query(
    `INSERT INTO responses (user_id, project_id, api_key_id, id, model, status, background, previous_response_id, settings,
       input, output, usage, error, incomplete_reason, created_at, content_bytes)
     VALUES ($1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::boolean, $8::text, $9::jsonb,
       $10::text::jsonb, $11::text::jsonb, $12::jsonb, $13::jsonb, $14::text, $15::timestamptz,
       octet_length($10::text) + octet_length($11::text))`,
    [
      ...ownerValues(caller.owner),
      caller.keyId,
      state.id,
      state.model,
      state.status,
      state.background,
      state.previousResponseId,
      JSON.stringify(state.settings),
      content.input,
      content.output,
      json(state.usage),
      json(state.error),
      state.incompleteReason,
      state.createdAt,
    ],
  )
}

const json = (value: object | null): string | null => (value === null ? null : JSON.stringify(value))

/** Nothing where it has ended, or was deleted. */
export async function setResponseEnded(
  tx: Transaction,
  owner: Owner,
  state: ResponseState,
  outputJson: string | Uint8Array,
): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE responses SET status = $4::text, output = $5::text::jsonb,
       content_bytes = content_bytes - octet_length(output::text) + octet_length($5::text), usage = $6::jsonb, error = $7::jsonb,
       incomplete_reason = $8::text, touched_at = now()
     WHERE ${VISIBLE_TO_OWNER} AND id = $3::text AND status IN ('queued', 'in_progress')`,
    [
      ...ownerValues(owner),
      state.id,
      state.status,
      outputJson,
      json(state.usage),
      json(state.error),
      state.incompleteReason,
    ],
  )
  return rowCount === 1
}

export const selectResponse = (db: Queryable, owner: Owner, responseId: string): Promise<ResponseRow | undefined> =>
  queryFirst<ResponseRow>(db, `SELECT ${COLUMNS} FROM responses WHERE ${VISIBLE_TO_OWNER} AND id = $3::text`, [
    ...ownerValues(owner),
    responseId,
  ])

/** Its output as JSON. */
export const selectOutput = async (db: Queryable, owner: Owner, responseId: string): Promise<string | undefined> =>
  (
    await queryFirst<{ output: string }>(
      db,
      `SELECT output::text FROM responses WHERE ${VISIBLE_TO_OWNER} AND id = $3::text`,
      [...ownerValues(owner), responseId],
    )
  )?.output

/** What is known of a chain's response before anything of it is loaded. */
export interface ChainLink {
  id: string
  previous_response_id: string | null
  status: ResponseState['status']
  content_bytes: bigint
}

/** The response and those before it, the oldest first; a link more than `most` where there are more. */
export async function selectChain(db: Queryable, owner: Owner, responseId: string, most: number): Promise<ChainLink[]> {
  const { rows } = await db.query<ChainLink>(
    `WITH RECURSIVE chain AS (
       SELECT id, previous_response_id, status, content_bytes, 1 AS depth FROM responses
       WHERE ${VISIBLE_TO_OWNER} AND id = $3::text
       UNION ALL
       SELECT r.id, r.previous_response_id, r.status, r.content_bytes, chain.depth + 1
       FROM responses r JOIN chain ON r.id = chain.previous_response_id
       WHERE ${visibleIn('r')} AND chain.depth <= $4::integer
     )
     SELECT id, previous_response_id, status, content_bytes FROM chain ORDER BY depth DESC`,
    [...ownerValues(owner), responseId, most],
  )
  return rows
}

/** The items of responses in the order of their ids, as JSON: each one's input, then its output. */
export async function selectItems(db: Queryable, owner: Owner, ids: readonly string[]): Promise<[string, string][]> {
  const { rows } = await db.query<{ input: string; output: string }>(
    `SELECT r.input::text, r.output::text FROM unnest($3::text[]) WITH ORDINALITY AS asked(id, position)
     JOIN responses r ON r.id = asked.id
     WHERE ${visibleIn('r')} ORDER BY position`,
    [...ownerValues(owner), ids],
  )
  return rows.map(({ input, output }) => [input, output])
}

/** Where an item of a response's input stands, from 1. */
export const selectInputPosition = async (
  db: Queryable,
  owner: Owner,
  responseId: string,
  itemId: string,
): Promise<number | undefined> => {
  const row = await queryFirst<{ position: bigint }>(
    db,
    `SELECT position FROM responses, jsonb_array_elements(input) WITH ORDINALITY AS e(item, position)
     WHERE ${VISIBLE_TO_OWNER} AND id = $3::text AND item ->> 'id' = $4::text ORDER BY position LIMIT 1`,
    [...ownerValues(owner), responseId, itemId],
  )
  return row === undefined ? undefined : Number(row.position)
}

/** A run of items: those after a position or those before it, the nearest first. */
export interface InputRun {
  from: number
  direction: 'up' | 'down'
  limit: number
  /** But for the last item. */
  mostBytes: number
}

/** Items of a response's input as JSON; fewer than the limit where they are larger together than may be. */
export async function selectInput(
  db: Queryable,
  owner: Owner,
  responseId: string,
  { from, direction, limit, mostBytes }: InputRun,
): Promise<{ items: string[]; hasMore: boolean }> {
  const isUp = direction === 'up'
  const { rows } = await db.query<{ item: string | null }>(
    `SELECT CASE WHEN coalesce(bytes_before, 0) < $6::bigint THEN item::text END AS item FROM (
       SELECT item, position, sum(octet_length(item::text)) OVER (ORDER BY position ${isUp ? 'ASC' : 'DESC'}
         ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
       FROM responses, jsonb_array_elements(input) WITH ORDINALITY AS e(item, position)
       WHERE ${VISIBLE_TO_OWNER} AND id = $3::text AND position ${isUp ? '>' : '<'} $4::bigint
       ORDER BY position ${isUp ? 'ASC' : 'DESC'} LIMIT $5::integer + 1) AS run
     ORDER BY position ${isUp ? 'ASC' : 'DESC'}`,
    [...ownerValues(owner), responseId, from, limit, mostBytes],
  )
  const items = rows.slice(0, limit).flatMap(({ item }) => item ?? [])
  return { items, hasMore: rows.length > items.length }
}

export async function deleteResponseRow(tx: Transaction, owner: Owner, responseId: string): Promise<boolean> {
  const { rowCount } = await tx.query(`DELETE FROM responses WHERE ${VISIBLE_TO_OWNER} AND id = $3::text`, [
    ...ownerValues(owner),
    responseId,
  ])
  return rowCount === 1
}

export async function touchResponse(db: Queryable, owner: Owner, responseId: string): Promise<void> {
  await db.query(`UPDATE responses SET touched_at = now() WHERE ${VISIBLE_TO_OWNER} AND id = $3::text`, [
    ...ownerValues(owner),
    responseId,
  ])
}

/** Responses whose process has not been heard of: of every owner, for the sweep. */
export async function selectAbandoned(
  tx: Transaction,
  quietSeconds: number,
  limit: number,
): Promise<(ResponseRow & { user_id: string; project_id: string | null })[]> {
  const { rows } = await tx.query<ResponseRow & { user_id: string; project_id: string | null }>(
    `SELECT user_id, project_id, ${COLUMNS} FROM responses
     WHERE status = 'in_progress' AND touched_at < now() - $1::integer * interval '1 second'
     ORDER BY touched_at LIMIT $2::integer FOR UPDATE SKIP LOCKED`,
    [quietSeconds, limit],
  )
  return rows
}

/** Removes what is older than so many days. Tells how many. */
export async function deleteOldResponses(db: Queryable, days: number, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `DELETE FROM responses WHERE id IN (
       SELECT id FROM responses WHERE created_at < now() - $1::integer * interval '1 day' AND status NOT IN ('queued', 'in_progress')
       LIMIT $2::integer)`,
    [days, limit],
  )
  return rowCount
}
