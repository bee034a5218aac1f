import { withDatabase } from './database.mjs'
import { quantile, rounded } from './figures.mjs'

const WARM_REQUESTS = 10
const DAY_MS = 86_400_000

/** What people ask of their calls: by name, the path with its query. The cursor and the session are in the middle of them. */
export async function historyQueries(stack) {
  const middle = await withDatabase(stack, middleCall)
  const day = 'T13:37:00Z'
  const window = at => `from=${dateOf(at - DAY_MS)}${day}&to=${dateOf(at)}${day}`
  const then = middle.createdAt.getTime()
  return {
    'usage: first page, totals': '/usage?limit=100',
    'usage: deep page': `/usage?limit=100&after=${middle.id}`,
    'usage: a model': '/usage?limit=100&model=bench-5',
    'usage: a rare model': '/usage?limit=100&model=bench-rare',
    'usage: an unknown model': '/usage?limit=100&model=bench-none',
    'usage: a day, long ago': `/usage?limit=100&${window(then)}`,
    'usage: last week': `/usage?limit=100&from=${dateOf(Date.now() - 7 * DAY_MS)}${day}`,
    'usage: a day, one key and model': `/usage?limit=100&api_key_id=${middle.keyId}&model=bench-5&${window(then)}`,
    'history: first page': '/request-history?limit=100',
    'history: deep page': `/request-history?limit=100&after=${middle.id}`,
    'history: a rare model': '/request-history?limit=100&model=bench-rare',
    'history: failed': '/request-history?limit=100&status=failed',
    'history: a session': `/request-history?limit=100&session_id=${middle.session}`,
    'history: a day, long ago': `/request-history?limit=100&${window(then)}`,
    'meter events: first page, totals': '/account/meter-events?limit=500',
    'meter events: deep page': `/account/meter-events?limit=500&cursor=${middle.id}`,
    'meter events: a meter': '/account/meter-events?limit=500&meter=responses_tokens',
    'meter events: search of a rare model': '/account/meter-events?limit=500&search=rare',
  }
}

const dateOf = ms => new Date(ms).toISOString().slice(0, 10)

/** The call with a session that is next to the middle of the time of all calls. */
async function middleCall(db) {
  const { rows } = await db.query(
    `WITH middle AS (SELECT user_id, min(hour) + (max(hour) - min(hour)) / 2 AS at FROM usage_hourly GROUP BY user_id)
     SELECT r.id, r.created_at AS "createdAt", r.api_key_id AS "keyId", r.metadata->>'session_id' AS session
     FROM middle m JOIN inference_requests r ON r.user_id = m.user_id AND r.created_at < m.at
     WHERE r.metadata IS NOT NULL ORDER BY r.created_at DESC LIMIT 1`,
  )
  return rows[0]
}

/** Asks one after the other; gives the figures of a row. */
export async function timed({ url, key }, target, path, requests) {
  const durations = []
  for (let count = -WARM_REQUESTS; count < requests; count++) {
    const startedMs = performance.now()
    const reply = await fetch(`${url}${path}`, { headers: { 'x-api-key': key } })
    const text = await reply.text()
    if (count >= 0) durations.push(performance.now() - startedMs)
    if (!reply.ok) throw new Error(`${path}: ${reply.status} ${text.slice(0, 300)}`)
  }
  const at = share => rounded(quantile(durations, share))
  return { target, requests, p50_ms: at(0.5), p95_ms: at(0.95), max_ms: at(1) }
}
