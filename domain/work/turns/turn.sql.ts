import { queryFirst, queryOne, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { RunTransaction } from '../../durable/jobs/run-transaction.ts'
import type { Caller, KeyRules, Owner } from '../../core/caller.rules.ts'
import { ownerValues, VISIBLE_TO_OWNER } from '../../core/visibility.ts'
import type { TurnEnding, TurnSurface } from './turn.rules.ts'
import type { AgentTurnCreateRequest, TurnLifecycle } from './turn.schema.ts'

/** A turn as far as its owner sees it. */
export interface TurnView {
  id: string
  user_id: string
  project_id: string | null
  api_key_id: string
  key_rules: KeyRules
  surface: TurnSurface
  model: string
  lifecycle: TurnLifecycle
  attempt: number
  attempt_seq: bigint | null
  /** Before this one, where it is of one. */
  attempts_begun: number
  /** What was reserved for. */
  output_limit: number | null
  error: { code: string; message: string; retryable: boolean } | null
  created_at: Date
  ended_at: Date | null
}

/** With what its model is asked, which may be 32 MB: for who asks it alone. */
export interface TurnRow extends TurnView {
  request: AgentTurnCreateRequest | null
}

const VIEW =
  'id, user_id, project_id, api_key_id, key_rules, surface, model, lifecycle, attempt, attempt_seq, attempts_begun, ' +
  'output_limit, error, created_at, ended_at'

export const insertTurn = (
  tx: Transaction,
  turn: {
    id: string
    caller: Caller
    surface: TurnSurface
    model: string
    requestJson: string | Uint8Array
    outputLimit: number
  },
): Promise<TurnView> =>
  queryOne<TurnView>(
    tx,
    `INSERT INTO agent_turns (id, user_id, project_id, api_key_id, key_rules, surface, model, request, output_limit, lifecycle)
     VALUES ($1::text, $2::text, $3::text, $4::text, $5::jsonb, $6::text, $7::text, $8::text::jsonb, $9::integer,
       'queued') RETURNING ${VIEW}`,
    [
      turn.id,
      turn.caller.owner.userId,
      turn.caller.owner.projectId,
      turn.caller.keyId,
      JSON.stringify(turn.caller.rules),
      turn.surface,
      turn.model,
      turn.requestJson,
      turn.outputLimit,
    ],
  )

/** The turn of this surface as its owner may see it. */
export const selectTurn = (
  db: Queryable,
  owner: Owner,
  turnId: string,
  surface: TurnSurface,
): Promise<TurnView | undefined> =>
  queryFirst<TurnView>(
    db,
    `SELECT ${VIEW} FROM agent_turns WHERE ${VISIBLE_TO_OWNER} AND id = $3::text AND surface = $4::text`,
    [...ownerValues(owner), turnId, surface],
  )

/** The turn of a job, which belongs to no caller. */
export const selectTurnOfJob = (db: Queryable, turnId: string): Promise<TurnView> =>
  queryOne<TurnView>(db, `SELECT ${VIEW} FROM agent_turns WHERE id = $1::text`, [turnId])

/** Begins an attempt after `afterSeq` of its log, and counts it. Gives the turn as it was before, with its request as JSON. */
export async function beginAttempt(
  tx: RunTransaction,
  turnId: string,
  attempt: number,
  afterSeq: bigint,
): Promise<TurnView & { request_json: string | null }> {
  const before = await queryOne<TurnView & { request_json: string | null }>(
    tx,
    `SELECT ${VIEW}, request::text AS request_json FROM agent_turns WHERE id = $1::text FOR UPDATE`,
    [turnId],
  )
  await tx.query(
    `UPDATE agent_turns SET attempt = $2::integer, attempt_seq = $3::bigint, attempts_begun = attempts_begun + 1,
       lifecycle = CASE WHEN lifecycle = 'cancel_requested' THEN lifecycle ELSE 'warming' END
     WHERE id = $1::text`,
    [turnId, attempt, afterSeq],
  )
  return before
}

/** Moves a running turn on; one that is to be canceled stays so. */
export async function setLifecycle(tx: RunTransaction, turnId: string, lifecycle: TurnLifecycle): Promise<void> {
  await tx.query(
    `UPDATE agent_turns SET lifecycle = $2::text
     WHERE id = $1::text AND lifecycle IN ('warming', 'running', 'streaming')`,
    [turnId, lifecycle],
  )
}

/** Undefined where it has ended, or was asked to stop before. */
export const setCancelRequested = (tx: Transaction, owner: Owner, turnId: string): Promise<TurnView | undefined> =>
  queryFirst<TurnView>(
    tx,
    `UPDATE agent_turns SET lifecycle = 'cancel_requested'
     WHERE ${VISIBLE_TO_OWNER} AND id = $3::text
       AND lifecycle NOT IN ('cancel_requested', 'completed', 'failed', 'canceled') RETURNING ${VIEW}`,
    [...ownerValues(owner), turnId],
  )

/** Nothing of it is left; one that runs is not touched. */
export async function deleteEndedTurn(tx: Transaction, owner: Owner, turnId: string): Promise<boolean> {
  const { rowCount } = await tx.query(
    `DELETE FROM agent_turns WHERE ${VISIBLE_TO_OWNER} AND id = $3::text AND ended_at IS NOT NULL`,
    [...ownerValues(owner), turnId],
  )
  return rowCount === 1
}

/** The turn's last state; what was asked is forgotten. */
export async function setTurnEnded(
  tx: RunTransaction,
  turnId: string,
  ending: TurnEnding,
  error: TurnView['error'],
): Promise<void> {
  await tx.query(
    `UPDATE agent_turns SET lifecycle = $2::text, error = $3::jsonb, request = NULL, ended_at = now()
     WHERE id = $1::text`,
    [turnId, ending, error === null ? null : JSON.stringify(error)],
  )
}
