import { queryOne, type Transaction } from '../../../infra/postgres/database.ts'
import { ENDED_DAYS } from '../../durable/retention/retention.rules.ts'

/**
 * One comparison of figures that must agree. `population` counts what is compared; `differences` selects
 * (id, field, expected, found) where they do not: `found` is what is stored, `expected` what it should be by the rows
 * it stands for, null where there is none. Fields that end in `_nanos` are money.
 *
 * Unlike elsewhere, the tables of other features are read here: only one statement over both sides, in one snapshot,
 * proves that they agree. Each is a hash or merge join over whole tables.
 */
export interface Comparison {
  name: string
  subject: string
  population: string
  differences: string
}

export interface DifferenceRow {
  id: string
  field: string
  expected: bigint | null
  found: bigint | null
  differing: bigint
}

/** Reads one snapshot of everything, for as long as it takes. The transaction's first statements. */
export async function beginVerification(tx: Transaction): Promise<void> {
  await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY')
  await tx.query(`SET LOCAL statement_timeout = '1h'`)
  await tx.query(`SET LOCAL enable_partitionwise_join = on`)
}

export async function countPopulation(tx: Transaction, { population }: Comparison): Promise<bigint> {
  return (await queryOne<{ count: bigint }>(tx, `SELECT count(*) AS count FROM ${population}`)).count
}

/** The first differences by id; each says how many there are in all. */
export async function selectDifferences(
  tx: Transaction,
  { differences }: Comparison,
  limit: number,
): Promise<DifferenceRow[]> {
  const { rows } = await tx.query<DifferenceRow>(
    `SELECT id, field, expected, found, count(*) OVER () AS differing FROM (${differences}) AS d(id, field, expected, found)
     ORDER BY id COLLATE "C", field COLLATE "C" LIMIT $1::integer`,
    [limit],
  )
  return rows
}

const balances: Comparison = {
  name: 'balances',
  subject: 'account balances and held amounts are the sums of their entries',
  population: 'accounts',
  differences: `
    SELECT user_id, v.field, v.expected, v.found
    FROM accounts a
    FULL JOIN (SELECT user_id, sum(amount_nanos)::bigint AS amount, sum(held_nanos)::bigint AS held
               FROM ledger_entries GROUP BY user_id) e USING (user_id)
    CROSS JOIN LATERAL (VALUES
      ('balance_nanos', coalesce(e.amount, 0), a.balance_nanos),
      ('held_nanos', coalesce(e.held, 0), a.held_nanos)) AS v(field, expected, found)
    WHERE v.expected IS DISTINCT FROM v.found`,
}

const heldByHolds: Comparison = {
  name: 'held_amounts',
  subject: 'held amounts of accounts are what is left of their open holds',
  population: 'accounts',
  differences: `
    SELECT user_id, 'held_nanos', coalesce(h.remaining, 0), a.held_nanos
    FROM accounts a
    FULL JOIN (SELECT user_id, sum(remaining_nanos)::bigint AS remaining
               FROM holds WHERE released_at IS NULL GROUP BY user_id) h USING (user_id)
    WHERE coalesce(h.remaining, 0) IS DISTINCT FROM a.held_nanos`,
}

const leases: Comparison = {
  name: 'leases',
  subject: 'leased amounts of accounts are the sums of the leases of processes',
  population: 'accounts',
  differences: `
    SELECT user_id, 'leased_nanos', coalesce(l.leased, 0), a.leased_nanos
    FROM accounts a
    FULL JOIN (SELECT user_id, sum(nanos)::bigint AS leased FROM account_leases GROUP BY user_id) l USING (user_id)
    WHERE coalesce(l.leased, 0) IS DISTINCT FROM a.leased_nanos`,
}

/** An open hold's rest is its amount less what charges drew; a released one has none, and its release gave the rest back. */
const holds: Comparison = {
  name: 'holds',
  subject: 'what is left of a hold is its amount less what its charges drew',
  population: 'holds',
  differences: `
    SELECT resource_id || CASE WHEN run = 1 THEN '' ELSE ' run ' || run END, v.field, v.expected, v.found
    FROM holds h
    FULL JOIN (SELECT hold_resource_id AS resource_id, hold_run AS run,
                 coalesce(sum(held_nanos) FILTER (WHERE kind = 'hold'), 0)::bigint AS placed,
                 coalesce(sum(-held_nanos) FILTER (WHERE kind = 'charge'), 0)::bigint AS drawn,
                 coalesce(sum(-held_nanos) FILTER (WHERE kind = 'release'), 0)::bigint AS given_back,
                 count(*) FILTER (WHERE kind = 'release') AS releases
               FROM ledger_entries WHERE hold_resource_id IS NOT NULL GROUP BY 1, 2) e USING (resource_id, run)
    CROSS JOIN LATERAL (VALUES
      ('amount_nanos', coalesce(e.placed, 0), h.amount_nanos),
      ('remaining_nanos', h.amount_nanos - coalesce(e.drawn, 0) - coalesce(e.given_back, 0), h.remaining_nanos),
      ('releases', (h.released_at IS NOT NULL)::integer::bigint, coalesce(e.releases, 0))) AS v(field, expected, found)
    WHERE v.expected IS DISTINCT FROM v.found`,
}

const holdsOfJobs: Comparison = {
  name: 'holds_end_with_jobs',
  subject: 'no hold is open whose job has ended or does not exist',
  population: 'holds WHERE released_at IS NULL',
  differences: `
    SELECT h.resource_id, CASE WHEN j.resource_id IS NULL THEN 'hold_without_job_nanos' ELSE 'hold_of_ended_job_nanos' END,
      0::bigint, h.remaining_nanos
    FROM holds h LEFT JOIN jobs j ON j.resource_id = h.resource_id
    WHERE h.released_at IS NULL AND j.state IS DISTINCT FROM 'open'`,
}

/** Joined by call and account: a charge to another account shows as one missing and one too many. */
const charges: Comparison = {
  name: 'charges',
  subject: 'every call with a cost has one charge of that amount to its account, and every charge has its call',
  population: 'inference_requests WHERE cost_nanos > 0',
  differences: `
    SELECT coalesce(c.id, e.reference) || ' of ' || coalesce(c.user_id, e.user_id), 'charge_nanos', c.cost_nanos, -e.amount_nanos
    FROM (SELECT id, user_id, cost_nanos FROM inference_requests WHERE cost_nanos > 0) c
    FULL JOIN (SELECT reference, user_id, amount_nanos FROM ledger_entries WHERE kind = 'charge') e
      ON e.reference = c.id AND e.user_id = c.user_id
    WHERE c.cost_nanos IS DISTINCT FROM -e.amount_nanos`,
}

const hourlyTotals: Comparison = {
  name: 'hourly_totals',
  subject: 'hourly totals are the sums of their calls',
  population: 'usage_hourly',
  differences: `
    SELECT concat_ws(' ', user_id, nullif(project_id, ''), to_char(hour AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24"Z"'),
      api_key_id, surface, model), v.field, v.expected, v.found
    FROM usage_hourly u
    FULL JOIN (
      SELECT user_id, coalesce(project_id, '') AS project_id, date_trunc('hour', created_at, 'UTC') AS hour, api_key_id,
        surface, model, count(*) AS requests, sum(tokens_in)::bigint AS tokens_in,
        sum(tokens_out)::bigint AS tokens_out, sum(cost_nanos)::bigint AS cost_nanos,
        coalesce(sum(tokens_in::bigint + tokens_out) FILTER (WHERE cost_nanos = 0), 0)::bigint AS free_tokens
      FROM inference_requests GROUP BY 1, 2, 3, 4, 5, 6) c USING (user_id, project_id, hour, api_key_id, surface, model)
    CROSS JOIN LATERAL (VALUES
      ('requests', c.requests, u.requests),
      ('tokens_in', c.tokens_in, u.tokens_in),
      ('tokens_out', c.tokens_out, u.tokens_out),
      ('cost_nanos', c.cost_nanos, u.cost_nanos),
      ('free_tokens', c.free_tokens, u.free_tokens)) AS v(field, expected, found)
    WHERE v.expected IS DISTINCT FROM v.found`,
}

/** Calls outlive their batches, which are removed so long after their end. */
const REMOVED_SINCE = `now() - interval '${ENDED_DAYS} days'`

const batchTotals: Comparison = {
  name: 'batch_totals',
  subject: 'tokens and cost of batches are the sums of their calls',
  population: 'batches',
  differences: `
    SELECT coalesce(b.id, c.resource_id), v.field, v.expected, v.found
    FROM batches b
    FULL JOIN (SELECT resource_id, sum(tokens_in)::bigint AS tokens_in, sum(tokens_out)::bigint AS tokens_out,
                 sum(cost_nanos)::bigint AS cost_nanos, max(created_at) AS newest
               FROM inference_requests WHERE surface = 'batch' GROUP BY 1) c ON c.resource_id = b.id
    CROSS JOIN LATERAL (VALUES
      ('tokens_in', coalesce(c.tokens_in, 0), b.tokens_in),
      ('tokens_out', coalesce(c.tokens_out, 0), b.tokens_out),
      ('cost_nanos', coalesce(c.cost_nanos, 0), b.cost_nanos)) AS v(field, expected, found)
    WHERE v.expected IS DISTINCT FROM v.found AND (b.id IS NOT NULL OR c.newest > ${REMOVED_SINCE})`,
}

const ENDED = `status IN ('completed', 'failed', 'expired', 'cancelled')`

/** A batch that failed its validation has no counts: it never ran. */
const batchCounts: Comparison = {
  name: 'batch_counts',
  subject: 'row counts of ended batches are those of their rows',
  population: `batches WHERE ${ENDED}`,
  differences: `
    SELECT b.id, v.field, v.expected, v.found
    FROM batches b
    LEFT JOIN (SELECT batch_id, count(*) AS total, count(*) FILTER (WHERE status = 'completed') AS completed,
                 count(*) FILTER (WHERE status IN ('failed', 'cancelled')) AS failed
               FROM batch_rows GROUP BY 1) r ON r.batch_id = b.id
    CROSS JOIN LATERAL (VALUES
      ('rows_total', coalesce(r.total, 0), b.rows_total::bigint),
      ('rows_completed', coalesce(r.completed, 0), b.rows_completed::bigint),
      ('rows_failed', coalesce(r.failed, 0), b.rows_failed::bigint)) AS v(field, expected, found)
    WHERE ${ENDED} AND v.expected IS DISTINCT FROM v.found`,
}

const batchCalls: Comparison = {
  name: 'batch_calls',
  subject: 'every completed row of a batch has its one call, and every completed call of a batch has its row',
  population: `batch_rows WHERE status = 'completed'`,
  differences: `
    SELECT coalesce(r.batch_id, c.resource_id) || ' request ' || coalesce(r.request_id, c.id)::text, 'calls',
      (r.batch_id IS NOT NULL)::integer::bigint, (c.id IS NOT NULL)::integer::bigint
    FROM (SELECT batch_id, request_id FROM batch_rows WHERE status = 'completed') r
    FULL JOIN (SELECT id, resource_id, created_at FROM inference_requests WHERE surface = 'batch' AND status = 'completed') c
      ON c.id = r.request_id AND c.resource_id = r.batch_id
    WHERE c.id IS NULL OR (r.batch_id IS NULL AND c.created_at > ${REMOVED_SINCE})`,
}

export const COMPARISONS: readonly Comparison[] = [
  balances,
  heldByHolds,
  leases,
  holds,
  holdsOfJobs,
  charges,
  hourlyTotals,
  batchTotals,
  batchCounts,
  batchCalls,
]
