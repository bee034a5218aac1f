import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { pino } from 'pino'
import { noteUncharged } from '../../../domain/money/ledger/uncharged.ts'
import { prefixedId } from '../../../domain/core/ids.ts'
import { createMetrics } from '../../../infra/metrics.ts'
import { chatRow, startBatch, untilEnded } from '../../support/batches.ts'
import { booksOf } from '../../support/books.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt } from '../../support/fake-upstream.ts'
import { jobBench } from '../../support/jobs.ts'
import { newTenant } from '../../support/tenants.ts'
import { allTurnEvents, startTurn } from '../../support/turns.ts'

const db = testDatabase()
const bench = jobBench()

const unchargedOf = async (jobId: string, of = db) =>
  (await of.query<{ uncharged_nanos: bigint }>('SELECT uncharged_nanos FROM jobs WHERE resource_id = $1', [jobId]))
    .rows[0]?.uncharged_nanos

test('what nobody is charged for is an error in the log, in the metric, and added to its job', async () => {
  const lines: any[] = []
  const log = pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) })
  const metrics = createMetrics('test')
  const resourceId = await bench.newJob()
  const note = (nanos: bigint, attempt: number) =>
    noteUncharged(
      { db: bench.db, log, metrics },
      { resourceId, upstream: 'some', nanos, error: new Error('broke off'), of: { attempt } },
    )
  await note(1_500_000n, 1)
  await note(500_000n, 2)
  await note(0n, 3)
  expect(await unchargedOf(resourceId, bench.db)).toBe(2_000_000n)
  const of = { level: 50, jobId: resourceId, upstream: 'some' }
  expect(lines).toMatchObject([
    { ...of, attempt: 1, costUsd: 0.0015, err: { message: 'broke off' } },
    { ...of, attempt: 2, costUsd: 0.0005 },
  ])
  expect(await metrics.registry.metrics()).toContain('ipop_uncharged_usd_total{upstream="some",service="test"} 0.002')
})

describe('what failed attempts used upstream is noted, and charged to nobody:', () => {
  test('of a turn, of each of its attempts', async () => {
    const tenant = await newTenant(db)
    const reply = 'some words that are written before it breaks off '.repeat(4)
    const requestId = await startTurn(tenant.api, { reply, dieAfterChunks: 30 })
    expect((await allTurnEvents(tenant.secret, requestId)).at(-1)?.type).toBe('turn.failed')
    const { charges, balanceNanos } = await booksOf(db, tenant)
    expect(charges).toEqual([])
    expect(balanceNanos).toBe(10_000_000_000n)
    const nanos = (await unchargedOf(prefixedId('turn', requestId) ?? '')) ?? 0n
    // Four attempts of one request, each of which wrote thirty words.
    expect(nanos).toBeGreaterThanOrEqual(4n * 30n * 2_000n)
    expect(nanos % 4n).toBe(0n)
  })

  test('of a turn that is served at last, of the attempts before', async () => {
    const tenant = await newTenant(db)
    const script = { id: tenant.keyId, reply: 'one two three four five', dieAfterChunks: 4, dieTimes: 1 }
    const requestId = await startTurn(tenant.api, script)
    expect((await allTurnEvents(tenant.secret, requestId)).at(-1)?.type).toBe('turn.completed')
    expect((await booksOf(db, tenant)).charges).toHaveLength(1)
    expect(await unchargedOf(prefixedId('turn', requestId) ?? '')).toBeGreaterThan(0n)
  })

  describe('of a row of a batch', () => {
    /** A reply that the database refuses, whatever the reason. */
    const MARK = 'refused-by-the-database'
    beforeAll(() =>
      db.query(`
        CREATE FUNCTION refuse_marked() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'refused by a test'; END $$;
        CREATE TRIGGER refuse_marked BEFORE UPDATE ON batch_rows FOR EACH ROW
          WHEN (NEW.output_line LIKE '%${MARK}%') EXECUTE FUNCTION refuse_marked()`),
    )
    afterAll(() => db.query('DROP TRIGGER refuse_marked ON batch_rows; DROP FUNCTION refuse_marked'))

    test('whose result cannot be stored', async () => {
      const tenant = await newTenant(db)
      const usage = { prompt_tokens: 100, completion_tokens: 10 }
      const rows = [chatRow('a', fakePrompt({ reply: MARK, usage })), chatRow('b', fakePrompt({ usage }))]
      const batch = await untilEnded(tenant.api, await startBatch(tenant.api, rows))
      expect(batch.request_counts).toEqual({ total: 2, completed: 1, failed: 1 })
      expect((await booksOf(db, tenant)).charges).toHaveLength(1)
      expect(await unchargedOf(batch.id)).toBe((100n * 1_000n + 10n * 2_000n) / 2n)
    })
  })
})
