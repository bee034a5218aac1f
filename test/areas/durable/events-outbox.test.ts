import { setTimeout as delay } from 'node:timers/promises'
import { afterEach, describe, expect, test } from '@jest/globals'
import { startDispatch, type EventSubscriber } from '../../../domain/durable/outbox/dispatch.ts'
import { appendEvent, readEvents, type EventRow } from '../../../domain/durable/outbox/events.service.ts'
import type { Loop } from '../../../infra/loop.ts'
import { addCredit } from '../../../domain/money/ledger/ledger.service.ts'
import { announceLowCredit } from '../../../domain/money/ledger/low-credit.ts'
import { inTransaction, type Transaction } from '../../../infra/postgres/database.ts'
import { jobBench } from '../../support/jobs.ts'
import { until } from '../../support/until.ts'

const bench = jobBench()
const loops: Loop[] = []
afterEach(async () => {
  await Promise.all(loops.splice(0).map(loop => loop.stop()))
})

interface Stream {
  userId: string
  projectId: null
}

const newStream = async (): Promise<Stream> => ({ userId: await bench.newUser(), projectId: null })
const tell = (tx: Transaction, owner: Stream, subject: string) =>
  appendEvent(tx, { owner, type: 'key.revoked', subject, payload: { name: 'test', hint: '…test' } })
const commitOne = (owner: Stream, subject: string) =>
  inTransaction(bench.db, tx => Promise.resolve(tell(tx, owner, subject)))
const subjectsAfter = async (owner: Stream, seq: bigint) =>
  (await readEvents({ db: bench.db }, owner, seq, 1_000)).map(({ subject }) => subject)

/** A transaction that has told and stands before its COMMIT until `go`. */
async function heldBeforeCommit(owner: Stream, subject: string) {
  const gate = await bench.db.pool.connect()
  await gate.query('SELECT pg_advisory_lock(42)')
  const committed = inTransaction(bench.db, tx => {
    tell(tx, owner, subject)
    tx.atCommit(() => tx.query('SELECT pg_advisory_xact_lock(42)'), 'last')
    return Promise.resolve()
  })
  const waiting = `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%pg_advisory_xact_lock(42)%' AND wait_event_type = 'Lock'
    AND datname = current_database()`
  await until(async () => (await bench.db.query(waiting)).rowCount === 1)
  const go = async () => {
    await gate.query('SELECT pg_advisory_unlock(42)')
    gate.release()
    await committed
  }
  return { go }
}

describe('a reader by cursor', () => {
  test('sees events in the order of their commits, though the later one began first', async () => {
    const owner = await newStream()
    await inTransaction(bench.db, async tx => {
      tell(tx, owner, 'began first')
      await tx.query('SELECT pg_current_xact_id()')
      await commitOne(owner, 'committed first')
      expect(await subjectsAfter(owner, 0n)).toEqual(['committed first'])
    })
    expect(await subjectsAfter(owner, 1n)).toEqual(['began first'])
  })

  test('is never ahead of one that is not committed yet', async () => {
    const owner = await newStream()
    const first = await heldBeforeCommit(owner, 'slow to commit')
    const second = commitOne(owner, 'behind it')
    const other = await newStream()
    await commitOne(other, 'of another stream')
    expect(await subjectsAfter(other, 0n)).toEqual(['of another stream'])
    expect(await subjectsAfter(owner, 0n)).toEqual([])
    await first.go()
    await second
    expect(await subjectsAfter(owner, 0n)).toEqual(['slow to commit', 'behind it'])
  })

  test('misses none of many at once, of which some are rolled back', async () => {
    const owner = await newStream()
    const failures: unknown[] = []
    const writer = async (name: number) => {
      for (let nth = 0; nth < 20; nth += 1) {
        const work = inTransaction(bench.db, async tx => {
          tell(tx, owner, `${name}.${nth}`)
          await delay(Math.random() * 5)
          if (nth % 5 === 4) throw new Error('rolled back')
        })
        failures.push(...(await Promise.allSettled([work])).filter(({ status }) => status === 'rejected'))
      }
    }
    const seen: EventRow[] = []
    const look = async () => {
      seen.push(...(await readEvents({ db: bench.db }, owner, seen.at(-1)?.seq ?? 0n, 7)))
    }
    let writing = true
    const writers = Promise.all([1, 2, 3].map(writer)).finally(() => (writing = false))
    while (writing) await look()
    await writers
    for (let before = -1; before !== seen.length;) {
      before = seen.length
      await look()
    }
    expect(seen.map(({ seq }) => Number(seq))).toEqual(Array.from({ length: 48 }, (_, index) => index + 1))
    expect(failures).toHaveLength(12)
    expect(new Set(seen.map(({ subject }) => subject)).size).toBe(48)
  })
})

describe('dispatch', () => {
  const dispatch = (subscriber: EventSubscriber) => {
    const loop = startDispatch({ ...bench, subscribers: [subscriber] })
    loops.push(loop)
    return loop
  }
  const pending = async () =>
    (await bench.db.query('SELECT 1 FROM project_events WHERE dispatched_at IS NULL')).rowCount > 0

  test('gives each event once and in order of its stream, by several dispatchers, one of which fails at times', async () => {
    const owners = await Promise.all(Array.from({ length: 4 }, newStream))
    await bench.db.query('CREATE TABLE told (id bigserial, user_id text, seq bigint)')
    const enqueue = async (tx: Transaction, events: readonly EventRow[]) => {
      for (const { user_id: userId, seq } of events) {
        await tx.query('INSERT INTO told (user_id, seq) VALUES ($1, $2)', [userId, seq])
      }
    }
    let calls = 0
    dispatch({ enqueue })
    const failing = dispatch({
      enqueue: async (tx, events) => {
        await enqueue(tx, events)
        calls += 1
        if (calls % 2 === 1) throw new Error('it fails after it has written')
      },
    })
    await Promise.all(
      owners.flatMap(owner => Array.from({ length: 60 }, (_, index) => commitOne(owner, `event ${index}`))),
    )
    await until(async () => {
      failing.wake()
      return !(await pending())
    })
    for (const { userId } of owners) {
      const { rows } = await bench.db.query<{ seq: bigint }>('SELECT seq FROM told WHERE user_id = $1 ORDER BY id', [
        userId,
      ])
      const { rows: all } = await bench.db.query<{ seq: bigint }>(
        'SELECT seq FROM project_events WHERE user_id = $1 ORDER BY seq',
        [userId],
      )
      expect(rows).toEqual(all)
      expect(all).toHaveLength(60)
    }
  })
})

test('an account is told once after each credit that it runs low', async () => {
  const owner = await newStream()
  const lowOnes = async () =>
    (await readEvents({ db: bench.db }, owner, 0n, 100)).filter(({ type }) => type === 'credit.low')
  const spend = (nanos: bigint) =>
    bench.db.query('UPDATE accounts SET balance_nanos = balance_nanos - $2::bigint WHERE user_id = $1', [
      owner.userId,
      nanos,
    ])
  await announceLowCredit(bench)
  expect(await lowOnes()).toEqual([])
  await addCredit({ db: bench.db }, owner.userId, 10_000_000_000n, 'credit')
  await spend(9_000_000_000n)
  await announceLowCredit(bench)
  expect(await lowOnes()).toEqual([])
  await spend(1n)
  expect(await announceLowCredit(bench)).toBe(false)
  await announceLowCredit(bench)
  expect(await lowOnes()).toMatchObject([
    { subject: owner.userId, payload: { balance_usd: 0.999999999, below_usd: 1 } },
  ])
  await addCredit({ db: bench.db }, owner.userId, 1_000_000_000n, 'more')
  await spend(1_900_000_000n)
  await announceLowCredit(bench)
  expect(await lowOnes()).toHaveLength(2)
})
