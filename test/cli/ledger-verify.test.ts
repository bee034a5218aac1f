import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { verifyLedger, type LedgerVerification } from '../../domain/money/verify/verify.ts'
import { openDatabase } from '../../infra/postgres/database.ts'
import { migrate } from '../../infra/postgres/migrate.ts'
import { createDatabase, type OwnDatabase } from './own-database.ts'
import { ipop } from './ipop.ts'
import { keepBooks, type Books } from './ledger-books.ts'

let healthy: OwnDatabase
let books: Books

beforeAll(async () => {
  healthy = await createDatabase()
  await migrate(healthy.url)
  const db = openDatabase({ url: healthy.url, poolSize: 1, applicationName: 'ipop-test' })
  books = await keepBooks(db)
  await db.close()
})
afterAll(() => healthy.drop())

/** What verification finds in a copy of the healthy books after the statement. */
async function verifiedAfter(statement: string): Promise<LedgerVerification> {
  const copy = await createDatabase(healthy.name)
  const db = openDatabase({ url: copy.url, poolSize: 1, applicationName: 'ipop-test' })
  try {
    await db.query(statement)
    return await verifyLedger({ db })
  } finally {
    await db.close()
    await copy.drop()
  }
}

test('books that the services kept are in order', async () => {
  const verification = await verifiedAfter('SELECT 1')
  expect(verification.checks.filter(check => !check.ok)).toEqual([])
  expect(verification.ok).toBe(true)
})

type Broken = [name: string, statement: (books: Books) => string, expected: Record<string, object[]>]

const BROKEN: Broken[] = [
  [
    'a balance that is not the sum of its entries',
    ({ userId }) => `UPDATE accounts SET balance_nanos = balance_nanos + 1 WHERE user_id = '${userId}'`,
    { balances: [{ id: 'userId', field: 'balance', expected: '8.90 USD', found: '8.900000001 USD' }] },
  ],
  [
    'a held amount that is neither its entries nor its holds',
    ({ userId }) => `UPDATE accounts SET held_nanos = held_nanos - 500000000 WHERE user_id = '${userId}'`,
    {
      balances: [{ id: 'userId', field: 'held', expected: '1.80 USD', found: '1.30 USD' }],
      held_amounts: [{ id: 'userId', field: 'held', expected: '1.80 USD', found: '1.30 USD' }],
    },
  ],
  [
    'a leased amount that no process has leased',
    ({ userId }) => `UPDATE accounts SET leased_nanos = 500000000 WHERE user_id = '${userId}'`,
    { leases: [{ id: 'userId', field: 'leased', expected: '0.00 USD', found: '0.50 USD' }] },
  ],
  [
    'a hold with more left than its charges leave',
    ({ openBatchId }) => `UPDATE holds SET remaining_nanos = 1900000000 WHERE resource_id = '${openBatchId}'`,
    {
      held_amounts: [{ id: 'userId', field: 'held', expected: '1.90 USD', found: '1.80 USD' }],
      holds: [{ id: 'openBatchId', field: 'remaining', expected: '1.80 USD', found: '1.90 USD' }],
    },
  ],
  [
    'a hold that was closed without its entry',
    ({ openBatchId }) =>
      `UPDATE holds SET remaining_nanos = 0, released_at = now() WHERE resource_id = '${openBatchId}'`,
    {
      held_amounts: [{ id: 'userId', field: 'held', expected: '0.00 USD', found: '1.80 USD' }],
      holds: [
        { id: 'openBatchId', field: 'releases', expected: '1', found: '0' },
        { id: 'openBatchId', field: 'remaining', expected: '1.80 USD', found: '0.00 USD' },
      ],
    },
  ],
  [
    'a hold whose job has ended',
    ({ openBatchId }) => `UPDATE jobs SET state = 'ended', ended_at = now() WHERE resource_id = '${openBatchId}'`,
    {
      holds_end_with_jobs: [{ id: 'openBatchId', field: 'hold_of_ended_job', expected: '0.00 USD', found: '1.80 USD' }],
    },
  ],
  [
    'a hold without a job',
    ({ openBatchId }) =>
      `WITH gone AS (DELETE FROM job_commands WHERE resource_id = '${openBatchId}')
       DELETE FROM jobs WHERE resource_id = '${openBatchId}'`,
    {
      holds_end_with_jobs: [{ id: 'openBatchId', field: 'hold_without_job', expected: '0.00 USD', found: '1.80 USD' }],
    },
  ],
  [
    'a call that was never charged',
    ({ chatCallId }) => `DELETE FROM ledger_entries WHERE reference = '${chatCallId}'`,
    {
      balances: [{ id: 'userId', field: 'balance', expected: '9.40 USD', found: '8.90 USD' }],
      charges: [{ id: 'chatCallId of userId', field: 'charge', expected: '0.50 USD', found: null }],
    },
  ],
  [
    'a charge of another amount',
    ({ chatCallId }) => `UPDATE ledger_entries SET amount_nanos = -400000000 WHERE reference = '${chatCallId}'`,
    {
      balances: [{ id: 'userId', field: 'balance', expected: '9.00 USD', found: '8.90 USD' }],
      charges: [{ id: 'chatCallId of userId', field: 'charge', expected: '0.50 USD', found: '0.40 USD' }],
    },
  ],
  [
    'a charge to another account',
    ({ chatCallId }) =>
      `WITH other AS (INSERT INTO users (id, name) VALUES ('user_other', 'other') RETURNING id),
         account AS (INSERT INTO accounts (user_id, balance_nanos) SELECT id, -500000000 FROM other),
         mine AS (UPDATE accounts SET balance_nanos = balance_nanos + 500000000)
       UPDATE ledger_entries SET user_id = 'user_other' WHERE reference = '${chatCallId}'`,
    {
      charges: [
        { id: 'chatCallId of userId', field: 'charge', expected: '0.50 USD', found: null },
        { id: 'chatCallId of user_other', field: 'charge', expected: null, found: '0.50 USD' },
      ],
    },
  ],
  [
    'a charge without a call',
    ({ chatCallId }) => `DELETE FROM inference_requests WHERE id = '${chatCallId}'`,
    {
      charges: [{ id: 'chatCallId of userId', field: 'charge', expected: null, found: '0.50 USD' }],
      hourly_totals: [
        { field: 'cost', expected: null, found: '0.50 USD' },
        { field: 'free_tokens', expected: null, found: '0' },
        { field: 'requests', expected: null, found: '1' },
        { field: 'tokens_in', expected: null, found: '10' },
        { field: 'tokens_out', expected: null, found: '20' },
      ],
    },
  ],
  [
    'an hourly total that counts a call twice',
    () => `UPDATE usage_hourly SET requests = 4 WHERE surface = 'batch'`,
    { hourly_totals: [{ field: 'requests', expected: '3', found: '4' }] },
  ],
  [
    'an hour without its total',
    () => `DELETE FROM usage_hourly WHERE surface = 'chat'`,
    {
      hourly_totals: [
        { field: 'cost', expected: '0.50 USD', found: null },
        { field: 'free_tokens', expected: '0', found: null },
        { field: 'requests', expected: '1', found: null },
        { field: 'tokens_in', expected: '10', found: null },
        { field: 'tokens_out', expected: '20', found: null },
      ],
    },
  ],
  [
    'a batch that cost more than its calls',
    ({ endedBatchId }) => `UPDATE batches SET cost_nanos = 600000000 WHERE id = '${endedBatchId}'`,
    { batch_totals: [{ id: 'endedBatchId', field: 'cost', expected: '0.40 USD', found: '0.60 USD' }] },
  ],
  [
    'an ended batch that counts rows wrong',
    ({ endedBatchId }) => `UPDATE batches SET rows_completed = 3, rows_failed = 0 WHERE id = '${endedBatchId}'`,
    {
      batch_counts: [
        { id: 'endedBatchId', field: 'rows_completed', expected: '2', found: '3' },
        { id: 'endedBatchId', field: 'rows_failed', expected: '1', found: '0' },
      ],
    },
  ],
  [
    'a call of a batch whose row is not completed',
    ({ batchCallId }) => `UPDATE batch_rows SET status = 'pending' WHERE request_id = '${batchCallId}'`,
    {
      batch_calls: [{ id: 'endedBatchId request batchCallId', field: 'calls', expected: '0', found: '1' }],
      batch_counts: [{ id: 'endedBatchId', field: 'rows_completed', expected: '1', found: '2' }],
    },
  ],
]

describe('what is wrong is named, with both figures', () => {
  test.each(BROKEN)('%s', async (_name, statement, expected) => {
    const { ok, checks } = await verifiedAfter(statement(books))
    expect(ok).toBe(false)
    const wrong = checks.filter(check => !check.ok)
    expect(wrong.map(check => check.name).sort()).toEqual(Object.keys(expected).sort())
    expect(Object.fromEntries(wrong.map(({ name, differences }) => [name, differences]))).toMatchObject(
      withIds(expected),
    )
  })
})

/** The cases name ids by their field in the books. */
function withIds<Shape extends object>(expected: Shape): Shape {
  const named = (_text: string, field: string) => books[field as keyof Books]
  const text = JSON.stringify(expected).replaceAll(
    /\b(userId|chatCallId|batchCallId|endedBatchId|openBatchId)\b/g,
    named,
  )
  return JSON.parse(text) as Shape
}

describe('the command', () => {
  test('exits 0 where the books are in order', async () => {
    const { code, stdout } = await ipop(['ledger', 'verify'], { DATABASE_URL: healthy.url })
    expect(code).toBe(0)
    expect(stdout).toMatch(/^ok {4}balances: .*1 checked, all agree$/m)
  })

  test('exits 1 and names the difference where they are not', async () => {
    const copy = await createDatabase(healthy.name)
    const db = openDatabase({ url: copy.url, poolSize: 1, applicationName: 'ipop-test' })
    await db.query('UPDATE accounts SET balance_nanos = 0')
    await db.close()
    const { code, stdout } = await ipop(['ledger', 'verify'], { DATABASE_URL: copy.url })
    const json = await ipop(['ledger', 'verify', '--json'], { DATABASE_URL: copy.url })
    await copy.drop()
    expect(code).toBe(1)
    expect(stdout).toContain(`${books.userId}: balance is 0.00 USD, should be 8.90 USD`)
    expect(json.code).toBe(1)
    expect(JSON.parse(json.stdout)).toMatchObject({ ok: false })
  })
})
