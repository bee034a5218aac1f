import { randomUUID } from 'node:crypto'
import { withDatabase } from './database.mjs'

const CHUNK = 50_000
const CONNECTIONS = 2
/** A credit that all of it leaves positive. */
const CREDIT_NANOS = 1_000_000_000_000_000n

/**
 * Calls of one owner spread evenly over the last days, each with its charge, and their hourly totals: as they would be
 * had the API recorded them. Eight models (one asked once in ten thousand calls), three operations, four keys; a fifth of
 * the calls belong to sessions of fifty.
 */
export async function seedCalls(stack, { count, days }, log) {
  const startedMs = performance.now()
  const plan = await withDatabase(stack, db => prepare(db, { count, days }))
  let next = 0
  const worker = () =>
    withDatabase(stack, async db => {
      await db.query('SET synchronous_commit = off')
      while (next < count) {
        const first = next
        next += CHUNK
        await db.query(INSERT_CALLS, [...plan, first, Math.min(first + CHUNK, count) - 1])
        if (next % (20 * CHUNK) === 0) log(`${next / 1e6} million calls`)
      }
    })
  await Promise.all(Array.from({ length: CONNECTIONS }, worker))
  await withDatabase(stack, db => complete(db, plan[0]))
  return (performance.now() - startedMs) / 1000
}

/** The values of the insert: owner, key, when the first call was, ms between calls. */
async function prepare(db, { count, days }) {
  const { rows } = await db.query(
    'SELECT user_id, id FROM api_keys WHERE revoked_at IS NULL ORDER BY created_at LIMIT 1',
  )
  const [{ user_id: userId, id: keyId }] = rows
  const [lengthMs, firstMs] = [days * 86_400_000, Date.now() - days * 86_400_000]
  await db.query(`SET timezone TO 'UTC'`)
  const months = await db.query(MONTHS, [new Date(firstMs)])
  for (const { statement } of months.rows) await db.query(statement)
  return [userId, keyId, firstMs, lengthMs / count]
}

async function complete(db, userId) {
  await db.query(TOTALS)
  await db.query(
    `INSERT INTO ledger_entries (reference, kind, user_id, amount_nanos, held_nanos, note)
     SELECT overlay($1::text placing left(uuidv7_floor(now())::text, 15) from 1)::uuid, 'credit', $2, $3, 0, 'bench'`,
    [randomUUID(), userId, CREDIT_NANOS],
  )
  await db.query(
    `UPDATE accounts SET balance_nanos = (SELECT sum(amount_nanos) FROM ledger_entries WHERE user_id = $1) WHERE user_id = $1`,
    [userId],
  )
  await db.query('VACUUM (ANALYZE)')
  await db.query('CHECKPOINT')
}

/** Statements that make the partitions of the months before those that the product makes. */
const MONTHS = `
  SELECT format('CREATE TABLE IF NOT EXISTS %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
    parent || '_' || to_char(month, 'YYYY_MM'), parent, uuidv7_floor(month), uuidv7_floor(month + interval '1 month')) AS statement
  FROM unnest(ARRAY['ledger_entries', 'inference_requests']) AS parent,
    generate_series(date_trunc('month', $1::timestamptz), now() - interval '2 months', interval '1 month') AS month`

const INSERT_CALLS = `
WITH drawn AS (
  SELECT n, $3::bigint + floor(n * $4::double precision)::bigint AS ms, hashint4(n) & 1048575 AS x, hashint4(n + 7) & 1048575 AS y
  FROM generate_series($5::integer, $6::integer) AS n
), calls AS (
  INSERT INTO inference_requests (id, user_id, api_key_id, surface, model, upstream, upstream_model, status, error_code,
    streamed, tokens_in, tokens_out, usage_source, cost_nanos, provider_billed, fallback_count, duration_ms, first_token_ms,
    created_at, metadata)
  SELECT (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(y % 4096), 3, '0') || '8' || lpad(to_hex(n), 15, '0'))::uuid,
    $1::text, CASE x % 4 WHEN 0 THEN $2::text ELSE 'key_' || repeat((x % 4)::text, 32) END,
    (ARRAY['chat', 'chat', 'chat', 'chat', 'chat', 'chat', 'chat', 'embeddings', 'embeddings', 'responses'])[1 + y % 10],
    CASE WHEN n % 10000 = 77 THEN 'bench-rare' ELSE 'bench-' || least(6, floor(log(2, 1 + y % 97))) END,
    'openrouter', 'bench', CASE y % 100 WHEN 0 THEN 'failed' WHEN 1 THEN 'canceled' ELSE 'completed' END,
    CASE y % 100 WHEN 0 THEN 'service_unavailable' WHEN 1 THEN 'client_closed' END,
    x % 2 = 0, 20 + x % 2000, 10 + y % 500, 'upstream', (20 + x % 2000 + 10 + y % 500) * 100, false, 0, 200 + x % 3000, 150,
    to_timestamp(ms / 1000.0), CASE WHEN n % 5 = 0 THEN jsonb_build_object('session_id', 'session-' || n / 250) END
  FROM drawn
  RETURNING id, user_id, cost_nanos, created_at
)
INSERT INTO ledger_entries (reference, kind, user_id, amount_nanos, held_nanos, created_at)
SELECT id, 'charge', user_id, -cost_nanos, 0, created_at FROM calls`

const TOTALS = `
INSERT INTO usage_hourly (user_id, project_id, hour, api_key_id, surface, model, requests, tokens_in, tokens_out, cost_nanos, free_tokens)
SELECT user_id, coalesce(project_id, ''), date_trunc('hour', created_at, 'UTC'), api_key_id, surface, model,
  count(*), sum(tokens_in), sum(tokens_out), sum(cost_nanos),
  coalesce(sum(tokens_in + tokens_out) FILTER (WHERE cost_nanos = 0), 0)
FROM inference_requests GROUP BY 1, 2, 3, 4, 5, 6`
