import { beforeAll, expect, test } from '@jest/globals'
import { queryOne, type Transaction } from '../../../infra/postgres/database.ts'
import { createSharedTransaction } from '../../../infra/postgres/shared-transaction.ts'
import { testDatabase } from '../../support/database.ts'

const db = testDatabase()
const shared = createSharedTransaction(db)
beforeAll(async () => void (await db.query('CREATE TABLE IF NOT EXISTS shared_things (id integer PRIMARY KEY)')))

let last = 0
const newThing = () => (last += 1)

/** Stores a thing; gives the transaction's id. */
const store = (id: number) => async (tx: Transaction) => {
  await tx.query('INSERT INTO shared_things VALUES ($1::integer)', [id])
  return (await queryOne<{ id: string }>(tx, 'SELECT pg_current_xact_id()::text AS id')).id
}

const stored = async (ids: readonly number[]) =>
  (await db.query<{ id: number }>('SELECT id FROM shared_things WHERE id = ANY($1) ORDER BY id', [ids])).rows.map(
    row => row.id,
  )

test('work of a key that comes while a transaction is under way shares the next one', async () => {
  const ids = Array.from({ length: 6 }, newThing)
  const [first, ...others] = await Promise.all(ids.map(id => shared('a', store(id))))
  expect(new Set(others).size).toBe(1)
  expect(others).not.toContain(first)
  expect(await stored(ids)).toEqual(ids)
})

test('work of different keys shares nothing', async () => {
  const transactions = await Promise.all(['b', 'c', 'd'].map(key => shared(key, store(newThing()))))
  expect(new Set(transactions).size).toBe(3)
})

test.each<[string, (tx: Transaction) => Promise<unknown>]>([
  ['by itself', () => Promise.reject(new Error('refused'))],
  [
    'after others have sent more',
    tx => tx.query('SELECT pg_sleep(0.05)').then(() => Promise.reject(new Error('late'))),
  ],
  ['in the database', tx => tx.query('SELECT 1 / 0')],
  ['as it is committed', tx => Promise.resolve(tx.atCommit(() => tx.query('SELECT 1 / 0')))],
])('what fails %s fails alone', async (_how, failing) => {
  const ids = Array.from({ length: 4 }, newThing)
  const works = [...ids.slice(0, 3).map(store), failing, ...ids.slice(3).map(store)]
  const ended = await Promise.allSettled(works.map(work => shared('e', work)))
  expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'fulfilled', 'rejected', 'fulfilled'])
  expect(await stored(ids)).toEqual(ids)
})

test('what is sent at commit runs last, in its order, and rolls everything back where it fails', async () => {
  const id = newThing()
  const order: string[] = []
  const say = (tx: Transaction, what: string) => tx.query('SELECT 1').then(() => order.push(what))
  await shared('f', async tx => {
    tx.atCommit(() => Promise.all([say(tx, 'third'), say(tx, 'fourth')]))
    await say(tx, 'first')
    await say(tx, 'second')
  })
  expect(order).toEqual(['first', 'second', 'third', 'fourth'])
  const failed = shared('f', async tx => {
    await store(id)(tx)
    tx.atCommit(() => tx.query('SELECT 1 / 0'))
  })
  await expect(failed).rejects.toThrow('division by zero')
  expect(await stored([id])).toEqual([])
})

test.each<[string, (tx: Transaction) => unknown]>([
  ['a statement', tx => tx.query('SELECT 1')],
  ['an `atCommit`', tx => tx.atCommit(() => Promise.resolve())],
])('%s that comes once COMMIT is sent is refused', async (_what, late) => {
  const id = newThing()
  const work = shared('g', async tx => {
    await store(id)(tx)
    tx.atCommit(async () => {
      await Promise.resolve()
      await late(tx)
    })
  })
  await expect(work).rejects.toThrow('after its transaction')
})
