import { describe, expect, test } from '@jest/globals'
import { dropEmptiedMonths, removeExpired } from '../../../domain/durable/retention/retention.ts'
import { ENDED_DAYS, EXPIRING, RETENTION } from '../../../domain/durable/retention/retention.rules.ts'
import { verifyLedger } from '../../../domain/money/verify/verify.ts'
import { appendEvent } from '../../../domain/durable/outbox/events.service.ts'
import { firstUuidAt, newRequestId } from '../../../domain/core/ids.ts'
import { inTransaction } from '../../../infra/postgres/database.ts'
import { keepBooks } from '../../cli/ledger-books.ts'
import { jobBench } from '../../support/jobs.ts'

const bench = jobBench()
const step = { signal: new AbortController().signal, heartbeat: () => undefined }
const DAY_MS = 24 * 3_600_000

const count = async (text: string, values: unknown[] = []) => (await bench.db.query(text, values)).rowCount

async function removeAll(): Promise<void> {
  for (let from: string | undefined = undefined, isOver = false; !isOver;) {
    const done = await removeExpired(bench, from, step)
    from = done.next ?? undefined
    isOver = done.next === null
  }
}

describe('every table', () => {
  test('states its retention, and no other does', async () => {
    const { rows } = await bench.db.query<{ relname: string }>(
      `SELECT relname FROM pg_class
       WHERE relkind IN ('r', 'p') AND NOT relispartition AND relnamespace = current_schema()::regnamespace ORDER BY 1`,
    )
    expect(rows.map(({ relname }) => relname)).toEqual(Object.keys(RETENTION).toSorted())
  })

  test('whose rows go with those of another is removed by the database with them', async () => {
    for (const [table, retention] of Object.entries(RETENTION)) {
      if (!('goesWith' in retention)) continue
      const cascades = `SELECT FROM pg_constraint WHERE conrelid = $1::regclass AND confrelid = $2::regclass AND confdeltype = 'c'`
      expect([table, await count(cascades, [table, retention.goesWith])]).toEqual([table, 1])
    }
  })

  test.each(EXPIRING)('%s is removed from by a statement that finds its rows by index', async table => {
    const { key, expired, days } = RETENTION[table] as { key: string; expired: string; days: number }
    const plan = await inTransaction(bench.db, async tx => {
      await tx.query('SET LOCAL enable_seqscan = off')
      const text = `EXPLAIN SELECT ${key} FROM ${table} WHERE ${expired} LIMIT 1000`
      return (await tx.query<{ 'QUERY PLAN': string }>(text, [days])).rows.map(row => row['QUERY PLAN']).join('\n')
    })
    // One row a user: read whole.
    const isSmall = table === 'daily_requests'
    expect(/Index (Only )?Scan|Bitmap/.test(plan) || isSmall).toBe(true)
  })
})

/** Jobs with all that came with them, of which some are as old as told. */
async function agedJob(days: number): Promise<string> {
  const id = await bench.newJob()
  await bench.db.query('UPDATE job_commands SET delivered_at = now() WHERE resource_id = $1', [id])
  await bench.endJob({ resourceId: id, run: 1 })
  await bench.db.query(`UPDATE jobs SET ended_at = now() - $2::integer * interval '1 day' WHERE resource_id = $1`, [
    id,
    days,
  ])
  return id
}

const jobsLeft = async (...ids: string[]) =>
  (
    await bench.db.query<{ resource_id: string }>('SELECT resource_id FROM jobs WHERE resource_id = ANY($1)', [ids])
  ).rows.map(({ resource_id: id }) => id)

describe('what is past its retention is removed, and nothing else:', () => {
  test('jobs with their commands, also those of which a command never arrived', async () => {
    const [old, late, recent, open] = [await agedJob(91), await agedJob(91), await agedJob(89), await bench.newJob()]
    await bench.db.query('UPDATE job_commands SET delivered_at = NULL WHERE resource_id = $1', [late])
    await bench.db.query(`UPDATE jobs SET created_at = now() - interval '1 year' WHERE resource_id = $1`, [open])
    await removeAll()
    expect((await jobsLeft(old, late, recent, open)).toSorted()).toEqual([recent, open].toSorted())
    expect(await bench.commands(late)).toEqual([])
  })

  test('commands a week after they were carried', async () => {
    const [old, recent, waiting] = [await bench.newJob(), await bench.newJob(), await bench.newJob()]
    const carried = (id: string, days: number) =>
      bench.db.query(
        `UPDATE job_commands SET delivered_at = now() - $2::integer * interval '1 day' WHERE resource_id = $1`,
        [id, days],
      )
    await Promise.all([carried(old, 8), carried(recent, 6)])
    await bench.db.query(`UPDATE job_commands SET created_at = now() - interval '1 year' WHERE resource_id = $1`, [
      waiting,
    ])
    await removeAll()
    expect(await Promise.all([old, recent, waiting].map(async id => (await bench.commands(id)).length))).toEqual([
      0, 1, 1,
    ])
  })

  test('idempotency keys after a week, however many there are', async () => {
    const fill = (days: number, keys: number) =>
      bench.db.query(
        `INSERT INTO idempotency_keys (user_id, project_id, operation, key, request_sha256, resource_id, created_at)
         SELECT 'u', '', 'test', $1::integer || ' ' || n, '', 'r', now() - $1::integer * interval '1 day'
         FROM generate_series(1, $2::integer) n`,
        [days, keys],
      )
    await fill(8, 2_500)
    await fill(6, 5)
    const { removed, next } = await removeExpired(bench, undefined, step)
    expect({ removed: removed >= 2_500, next }).toEqual({ removed: true, next: null })
    expect(await count('SELECT FROM idempotency_keys')).toBe(5)
  })

  test('events after a month, and months once they are empty', async () => {
    const month = (at: Date) => at.toISOString().slice(0, 7).replace('-', '_')
    const firstOf = (monthsAgo: number) => {
      const now = new Date()
      return new Date(Date.UTC(now.getUTCFullYear(), now.getUTCMonth() - monthsAgo, 1))
    }
    for (const parent of ['project_events', 'log_events']) {
      for (const ago of [5, 6]) {
        await bench.db.query(
          `CREATE TABLE ${parent}_${month(firstOf(ago))} PARTITION OF ${parent}
           FOR VALUES FROM ('${firstUuidAt(firstOf(ago).getTime()).replace('-8000-', '-0000-')}') TO ('${firstUuidAt(firstOf(ago - 1).getTime()).replace('-8000-', '-0000-')}')`,
        )
      }
    }
    const insert = (id: string) =>
      bench.db.query(`INSERT INTO project_events VALUES ($1, 'u', '', 1, 'key.revoked', 's', '{}', now())`, [id])
    await insert(firstUuidAt(firstOf(5).getTime() + DAY_MS))
    await bench.db.query(`INSERT INTO log_events (log_id, seq, type, data) VALUES ($1, 1, 't', '{}')`, [
      firstUuidAt(firstOf(6).getTime() + DAY_MS),
    ])
    const owner = { userId: await bench.newUser(), projectId: null }
    await inTransaction(bench.db, tx =>
      Promise.resolve(appendEvent(tx, { owner, type: 'key.revoked', subject: 'new', payload: { name: '', hint: '' } })),
    )
    await removeAll()
    const left = await bench.db.query<{ subject: string }>('SELECT subject FROM project_events')
    expect(left.rows.map(({ subject }) => subject)).toContain('new')
    expect(left.rows.map(({ subject }) => subject)).not.toContain('s')
    expect(await dropEmptiedMonths(bench)).toEqual([
      `project_events_${month(firstOf(6))}`,
      `project_events_${month(firstOf(5))}`,
      `log_events_${month(firstOf(5))}`,
    ])
    expect(await dropEmptiedMonths(bench)).toEqual([])
    await expect(insert(newRequestId())).resolves.toMatchObject({ rowCount: 1 })
  })

  test('ended batches with their rows, and the books still agree', async () => {
    const { endedBatchId, openBatchId } = await keepBooks(bench.db)
    const age = (batch: string, days: number) =>
      Promise.all([
        bench.db.query(`UPDATE batches SET completed_at = now() - $2::integer * interval '1 day' WHERE id = $1`, [
          batch,
          days,
        ]),
        bench.db.query(
          `UPDATE inference_requests SET created_at = now() - $2::integer * interval '1 day' WHERE resource_id = $1`,
          [batch, days],
        ),
      ])
    await bench.db.query(
      `UPDATE usage_hourly SET requests = 1, tokens_in = 10, tokens_out = 20, cost_nanos = 200000000 WHERE surface = 'batch'`,
    )
    await bench.db.query(
      `INSERT INTO usage_hourly SELECT user_id, project_id, date_trunc('hour', now() - $1::integer * interval '1 day', 'UTC'),
         api_key_id, surface, model, 2, 20, 40, 400000000, 0 FROM usage_hourly WHERE surface = 'batch'`,
      [ENDED_DAYS + 1],
    )
    await age(endedBatchId, ENDED_DAYS + 1)
    expect((await verifyLedger({ db: bench.db })).checks.filter(({ ok }) => !ok)).toEqual([])
    await removeAll()
    expect(await count('SELECT FROM batches WHERE id = $1', [endedBatchId])).toBe(0)
    expect(await count('SELECT FROM batch_rows WHERE batch_id = $1', [endedBatchId])).toBe(0)
    expect(await count('SELECT FROM batches WHERE id = $1', [openBatchId])).toBe(1)
    expect((await verifyLedger({ db: bench.db })).checks.filter(({ ok }) => !ok)).toEqual([])
  })
})

test('a step that was told to stop stops', async () => {
  const stopped = { ...step, signal: AbortSignal.abort(new Error('leaving')) }
  await expect(removeExpired(bench, undefined, stopped)).rejects.toThrow('leaving')
})
