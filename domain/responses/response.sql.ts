import { queryFirst, type Queryable, type Transaction } from '../../infra/postgres/database.ts'
import type { Caller, Owner } from '../tenancy/tenancy.rules.ts'
import { ownerValues, VISIBLE_TO_OWNER } from '../tenancy/visibility.ts'
import type { ResponseSettings, ResponseState } from './response.rules.ts'
import type { ResponseItem } from './response.schema.ts'

export interface ResponseRow {
  id: string
  model: string
  status: ResponseState['status']
  background: boolean
  previous_response_id: string | null
  settings: ResponseSettings
  input: ResponseItem[]
  output: ResponseItem[]
  usage: ResponseState['usage']
  error: ResponseState['error']
  incomplete_reason: string | null
  created_at: Date
}

const COLUMNS =
  'id, model, status, background, previous_response_id, settings, input, output, usage, error, incomplete_reason, created_at'

export async function insertResponse(
  db: Queryable,
  caller: Caller,
  state: ResponseState,
  input: readonly ResponseItem[],
): Promise<void> {
  await db.query(
    `INSERT INTO responses (user_id, project_id, api_key_id, ${COLUMNS}, content_bytes)
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
      JSON.stringify(input),
      JSON.stringify(state.output),
      json(state.usage),
      json(state.error),
      state.incompleteReason,
      state.createdAt,
    ],
  )
}

const json = (value: object | null): string | null => (value === null ? null : JSON.stringify(value))

/** Nothing where it has ended, or was deleted. */
export async function setResponseEnded(tx: Transaction, owner: Owner, state: ResponseState): Promise<boolean> {
  const { rowCount } = await tx.query(
    `UPDATE responses SET status = $4::text, output = $5::text::jsonb,
       content_bytes = content_bytes - octet_length(output::text) + octet_length($5::text), usage = $6::jsonb, error = $7::jsonb,
       incomplete_reason = $8::text, touched_at = now()
     WHERE ${VISIBLE_TO_OWNER} AND id = $3::text AND status IN ('queued', 'in_progress')`,
    [
      ...ownerValues(owner),
      state.id,
      state.status,
      JSON.stringify(state.output),
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

/** Ids of a response and of those before it, so many at most; $1 to $4: owner, id, count. */
const CHAIN = `chain AS (
  SELECT id, previous_response_id, content_bytes, 1 AS depth FROM responses WHERE ${VISIBLE_TO_OWNER} AND id = $3::text
  UNION ALL
  SELECT r.id, r.previous_response_id, r.content_bytes, chain.depth + 1
  FROM responses r JOIN chain ON r.id = chain.previous_response_id
  WHERE r.user_id = $1::text AND (r.project_id IS NULL OR r.project_id = $2::text) AND chain.depth <= $4::integer
)`

/** The response and those before it, the oldest first, at most `most` of them; none where they are larger together. */
export async function selectChain(
  db: Queryable,
  owner: Owner,
  responseId: string,
  { most, mostBytes }: { most: number; mostBytes: number },
): Promise<(ResponseRow & { depth: number })[]> {
  const { rows } = await db.query<ResponseRow & { depth: number }>(
    `WITH RECURSIVE ${CHAIN}
     SELECT ${COLUMNS.split(', ')
       .map(name => `r.${name}`)
       .join(', ')}, chain.depth
     FROM chain JOIN responses r ON r.id = chain.id
     WHERE (SELECT sum(content_bytes) FROM chain) <= $5::bigint ORDER BY chain.depth DESC`,
    [...ownerValues(owner), responseId, most, mostBytes],
  )
  return rows
}

/** Whether there is such a response, whatever the size of what stands before it. */
export const hasResponse = async (db: Queryable, owner: Owner, responseId: string): Promise<boolean> =>
  (await queryFirst(db, `SELECT 1 FROM responses WHERE ${VISIBLE_TO_OWNER} AND id = $3::text`, [
    ...ownerValues(owner),
    responseId,
  ])) !== undefined

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
