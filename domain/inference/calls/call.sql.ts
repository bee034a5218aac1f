import type { PreparedStatement, Queryable } from '../../../infra/postgres/database.ts'
import type { AccountRow } from '../../money/ledger/ledger.service.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'
import type { CallRecord } from './call.rules.ts'

export interface RecordedCalls {
  accounts: ChargedAccount[]
  /** What is left of each hold that paid for a call. */
  holds: Map<string, Nanos>
}

/**
 * Records calls, charges them and adds them to the hourly totals, each call once however often it comes: only rows
 * that were inserted are charged. The accounts are locked first, in one order; they guard the holds and the totals of
 * their user. A call of a job draws on the job's hold, which is read as it was when the statement began: where there
 * are such calls, their accounts must have been locked before.
 */
export async function insertCalls(db: Queryable, calls: readonly CallRecord[]): Promise<RecordedCalls> {
  const statement = calls.every(call => call.resourceId === null) ? INSERT_DIRECT_CALLS : INSERT_CALLS
  return insertWired(db, statement, calls.map(wireCall))
}

/** The same of calls of no job that were put into their wire form before. */
export const insertWiredCalls = (db: Queryable, calls: readonly object[]): Promise<RecordedCalls> =>
  insertWired(db, INSERT_DIRECT_CALLS, calls)

async function insertWired(
  db: Queryable,
  statement: PreparedStatement,
  calls: readonly object[],
): Promise<RecordedCalls> {
  const { rows } = await db.query<ChangedRow>(statement, [JSON.stringify(calls)])
  return {
    accounts: rows.flatMap(row => (row.kind === 'account' ? [accountOf(row)] : [])),
    holds: new Map(rows.flatMap(row => (row.kind === 'hold' ? [[row.id, row.first_nanos] as const] : []))),
  }
}

export type ChargedAccount = Pick<AccountRow, 'user_id' | 'balance_nanos' | 'held_nanos'>

interface ChangedRow {
  kind: 'account' | 'hold'
  id: string
  first_nanos: Nanos
  second_nanos: Nanos
}

const accountOf = (row: ChangedRow): ChargedAccount => ({
  user_id: row.id,
  balance_nanos: row.first_nanos,
  held_nanos: row.second_nanos,
})

/** What is null is left out: the statement reads it so. */
export const wireCall = (call: CallRecord) => ({
  id: call.id,
  user_id: call.owner.userId,
  project_id: call.owner.projectId ?? undefined,
  api_key_id: call.keyId,
  surface: call.surface,
  resource_id: call.resourceId ?? undefined,
  model: call.model,
  upstream: call.upstream ?? undefined,
  upstream_model: call.upstreamModel ?? undefined,
  status: call.status,
  error_code: call.errorCode ?? undefined,
  streamed: call.streamed,
  tokens_in: call.usage.input,
  tokens_out: call.usage.output,
  cached_tokens: call.usage.cached,
  cache_write_tokens: call.usage.cacheWrites,
  reasoning_tokens: call.usage.reasoning,
  usage_source: call.usageSource,
  cost_nanos: call.costNanos.toString(),
  provider_billed: call.providerBilled,
  fallback_count: call.fallbackCount,
  duration_ms: call.durationMs,
  first_token_ms: call.firstTokenMs ?? undefined,
  created_at: call.createdAt.toISOString(),
  requested_model: call.requestedModel ?? undefined,
  metadata: call.metadata ?? undefined,
  replay_of: call.replayOf ?? undefined,
  credential_id: call.credentialId ?? undefined,
  cache_hit: call.cacheHit,
})

const COLUMNS = `id, user_id, project_id, api_key_id, surface, resource_id, model, upstream, upstream_model, status,
  error_code, streamed, tokens_in, tokens_out, cached_tokens, cache_write_tokens, reasoning_tokens, usage_source,
  cost_nanos, provider_billed, fallback_count, duration_ms, first_token_ms, created_at, requested_model, metadata, replay_of,
  credential_id, cache_hit`

/** Json and not jsonb, which is made to be looked into often: it takes twice as long to read once. */
const inserted = (name: string, drawn: string): string => `
WITH sent AS MATERIALIZED (
  SELECT * FROM json_to_recordset($1::json) AS c(
    id uuid, user_id text, project_id text, api_key_id text, surface text, resource_id text, model text, upstream text,
    upstream_model text, status text, error_code text, streamed boolean, tokens_in integer, tokens_out integer,
    cached_tokens integer, cache_write_tokens integer, reasoning_tokens integer, usage_source text, cost_nanos bigint, provider_billed boolean,
    fallback_count integer, duration_ms integer, first_token_ms integer, created_at timestamptz,
    requested_model text, metadata jsonb, replay_of uuid, credential_id text, cache_hit boolean)
), locked AS MATERIALIZED (
  SELECT user_id FROM accounts WHERE user_id IN (SELECT user_id FROM sent) ORDER BY user_id FOR UPDATE
), ${name} AS (
  INSERT INTO inference_requests (${COLUMNS}) SELECT ${COLUMNS} FROM sent, (SELECT count(*) FROM locked) AS first
  ON CONFLICT (id) DO NOTHING
  RETURNING id, user_id, project_id, api_key_id, surface, resource_id, model, tokens_in, tokens_out, cost_nanos, created_at
    ${drawn}
)`

/** Of `fresh`: the calls that were inserted, with what each draws from which hold. */
const CHARGED = `
entries AS (
  INSERT INTO ledger_entries
    (reference, kind, user_id, project_id, hold_resource_id, hold_run, amount_nanos, held_nanos, created_at)
  SELECT id, 'charge', user_id, project_id, hold_resource_id, hold_run, -cost_nanos, -drawn_nanos, created_at
  FROM fresh WHERE cost_nanos > 0
), totals AS (
  INSERT INTO usage_hourly AS u
    (user_id, project_id, hour, api_key_id, surface, model, requests, tokens_in, tokens_out, cost_nanos, free_tokens)
  SELECT user_id, coalesce(project_id, ''), date_trunc('hour', created_at, 'UTC'), api_key_id, surface, model,
    count(*), sum(tokens_in), sum(tokens_out), sum(cost_nanos),
    coalesce(sum(tokens_in::bigint + tokens_out) FILTER (WHERE cost_nanos = 0), 0)
  FROM fresh GROUP BY 1, 2, 3, 4, 5, 6
  ON CONFLICT (user_id, project_id, hour, api_key_id, surface, model) DO UPDATE SET
    requests = u.requests + excluded.requests, tokens_in = u.tokens_in + excluded.tokens_in,
    tokens_out = u.tokens_out + excluded.tokens_out, cost_nanos = u.cost_nanos + excluded.cost_nanos,
    free_tokens = u.free_tokens + excluded.free_tokens
), account AS (
  UPDATE accounts a SET balance_nanos = a.balance_nanos - s.cost, held_nanos = a.held_nanos - s.drawn
  FROM (SELECT user_id, sum(cost_nanos)::bigint AS cost, sum(drawn_nanos)::bigint AS drawn FROM fresh GROUP BY user_id) s
  WHERE a.user_id = s.user_id
  RETURNING a.user_id, a.balance_nanos, a.held_nanos
)`

const ACCOUNTS = `
SELECT 'account' AS kind, user_id AS id, balance_nanos AS first_nanos, held_nanos AS second_nanos FROM account`

/** Of calls of no job, which are most: a quarter less work without the holds. */
const INSERT_DIRECT_CALLS: PreparedStatement = {
  name: 'insert_direct_calls',
  text: `${inserted('fresh', ', NULL::text AS hold_resource_id, NULL::integer AS hold_run, 0::bigint AS drawn_nanos')}, ${CHARGED} ${ACCOUNTS}`,
}

const INSERT_CALLS: PreparedStatement = {
  name: 'insert_calls',
  text: `${inserted('inserted', '')}, fresh AS (
  SELECT i.*, h.resource_id AS hold_resource_id, h.run AS hold_run,
    CASE WHEN h.resource_id IS NULL THEN 0 ELSE least(i.cost_nanos, greatest(0, h.remaining_nanos
      - (sum(i.cost_nanos) OVER (PARTITION BY h.resource_id ORDER BY i.id) - i.cost_nanos)))::bigint
    END AS drawn_nanos
  FROM inserted i LEFT JOIN holds h ON h.resource_id = i.resource_id AND h.released_at IS NULL
), ${CHARGED}, hold AS (
  UPDATE holds h SET remaining_nanos = h.remaining_nanos - s.drawn
  FROM (SELECT hold_resource_id, hold_run, sum(drawn_nanos)::bigint AS drawn FROM fresh
        WHERE hold_resource_id IS NOT NULL GROUP BY 1, 2) s
  WHERE h.resource_id = s.hold_resource_id AND h.run = s.hold_run
  RETURNING h.resource_id, h.remaining_nanos
) ${ACCOUNTS}
UNION ALL
SELECT 'hold', resource_id, remaining_nanos, 0 FROM hold`,
}
