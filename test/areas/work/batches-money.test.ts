import { describe, expect, test } from '@jest/globals'
import { worstPrice } from '../../../domain/work/batches/row.rules.ts'
import type { CatalogEntry } from '../../../domain/inference/catalog/catalog.schema.ts'
import { chatRow, linesOfFile, startBatch, untilBatch, untilEnded } from '../../support/batches.ts'
import { booksOf } from '../../support/books.ts'
import { TEST_MODELS } from '../../support/catalog.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakeCalls, fakePrompt, releaseCalls, waitForCalls } from '../../support/fake-upstream.ts'
import { usdText } from '../../../domain/money/ledger/money.rules.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const USD = 1_000_000_000n

interface Entry {
  kind: string
  amount_nanos: bigint
  held_nanos: bigint
}

/** What the batch did to its account, in the order of the books. */
const entriesOf = async (batchId: string): Promise<Entry[]> =>
  (
    await db.query<Entry>(
      `SELECT kind, amount_nanos, held_nanos FROM ledger_entries WHERE hold_resource_id = $1
       ORDER BY array_position(ARRAY['hold', 'charge', 'release'], kind), reference`,
      [batchId],
    )
  ).rows

const accountOf = async (userId: string) =>
  (await db.query<{ balance_nanos: bigint; held_nanos: bigint }>('SELECT * FROM accounts WHERE user_id = $1', [userId]))
    .rows[0]

const ENTRIES = new Map(TEST_MODELS.map(entry => [entry.id, entry]))

/** The most that a row costs, which is held for it. */
function rowNanos(content: string, fields: { model?: string; [name: string]: unknown } = {}): bigint {
  const model = ENTRIES.get(fields.model ?? 'test/plain') as CatalogEntry
  const body = { model: model.id, messages: [{ role: 'user', content }], ...fields }
  return worstPrice({ customId: 'a', model, body }, 'chat_completions')
}

describe('the hold', () => {
  test('is the most that it can cost at half the price, and what is left of it is given back', async () => {
    const { api, userId } = await newTenant(db)
    const content = fakePrompt({
      id: `hold-${userId}`,
      delayMs: 1_000,
      usage: { prompt_tokens: 3, completion_tokens: 5 },
    })
    const asked = [
      {},
      { max_tokens: 100 },
      { max_completion_tokens: 10 },
      { max_tokens: 50_000 },
      { max_tokens: 100, n: 2 },
    ]
    const rows = [
      ...asked.map((fields, index) => chatRow(`row-${index}`, content, fields)),
      chatRow('bad', content, { stream: true }),
    ]
    const reserved = asked.reduce((sum, fields) => sum + rowNanos(content, fields), 0n)
    const id = await startBatch(api, rows)
    await waitForCalls(testStack().upstreamUrl, `hold-${userId}`, 1)

    expect(await accountOf(userId)).toMatchObject({ balance_nanos: 10n * USD, held_nanos: reserved })
    const running = await untilBatch(api, id, ({ status }) => status === 'in_progress')
    expect(running.reserved_credit_total).toBe(Number(reserved) / 1e9)

    const batch = await untilEnded(api, id)
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 6, completed: 5, failed: 1 },
      reserved_credit_total: Number(reserved) / 1e9,
    })
    // 3 tokens at 500 nano-USD and 5 at 1,000: half of 1 and 2 USD a million.
    const cost = 6_500n
    expect(await entriesOf(id)).toEqual([
      { kind: 'hold', amount_nanos: 0n, held_nanos: reserved },
      ...Array<Entry>(5).fill({ kind: 'charge', amount_nanos: -cost, held_nanos: -cost }),
      { kind: 'release', amount_nanos: 0n, held_nanos: 5n * cost - reserved },
    ])
    expect(await accountOf(userId)).toMatchObject({ balance_nanos: 10n * USD - 5n * cost, held_nanos: 0n })
    expect(batch.usage).toEqual({ input_tokens: 15, output_tokens: 25, cost_usd: 0.0000325 })
  })

  test('that the credit cannot bear fails the batch, naming the amounts', async () => {
    const tenant = await newTenant(db, { creditUsd: '0.25' })
    const { api, userId } = tenant
    const row = chatRow('a', fakePrompt({ id: `dear-${userId}` }), { model: 'test/dear', max_tokens: 1_000 })
    const wanted = rowNanos(fakePrompt({ id: `dear-${userId}` }), { model: 'test/dear', max_tokens: 1_000 })
    const batch = await untilEnded(api, await startBatch(api, [row]))
    expect(batch).toMatchObject({
      status: 'failed',
      output_file_id: null,
      request_counts: { total: 1, completed: 0, failed: 1 },
      last_error: expect.stringMatching(/^payment_required: /),
    })
    expect(batch.last_error).toContain(`${usdText(wanted)} USD`)
    expect(batch.last_error).toContain('0.25 USD')
    expect(await fakeCalls(testStack().upstreamUrl, `dear-${userId}`)).toEqual([])
    expect(await accountOf(userId)).toMatchObject({ balance_nanos: USD / 4n, held_nanos: 0n })
    expect(await entriesOf(batch.id)).toEqual([])
  })

  test('of one batch is not there for another', async () => {
    const { api, userId } = await newTenant(db, { creditUsd: '1.5' })
    const row = (script: object) => [
      chatRow('a', fakePrompt({ ...script, usage: { prompt_tokens: 1, completion_tokens: 1 } }), {
        model: 'test/dear',
        max_tokens: 1_000,
      }),
    ]
    const first = await startBatch(api, row({ id: `first-${userId}`, held: true }))
    await waitForCalls(testStack().upstreamUrl, `first-${userId}`, 1)
    const second = await untilEnded(api, await startBatch(api, row({})))
    expect(second).toMatchObject({ status: 'failed', last_error: expect.stringContaining('payment_required') })
    await releaseCalls(testStack().upstreamUrl, `first-${userId}`)
    expect(await untilEnded(api, first)).toMatchObject({ status: 'completed' })
    const third = await untilEnded(api, await startBatch(api, row({})))
    expect(third).toMatchObject({ status: 'completed' })
    expect(await accountOf(userId)).toMatchObject({
      balance_nanos: (USD * 15n) / 10n - 2n * 1_000_000n,
      held_nanos: 0n,
    })
  })
})

describe('cost', () => {
  test('of cached and reasoning tokens is exact, and rows, calls, charges and totals agree', async () => {
    const tenant = await newTenant(db)
    const usages = [
      [{ prompt_tokens: 7, completion_tokens: 3, prompt_tokens_details: { cached_tokens: 5 } }, 4_250n],
      [{ prompt_tokens: 1, completion_tokens: 0 }, 500n],
      [{ prompt_tokens: 11, completion_tokens: 9, completion_tokens_details: { reasoning_tokens: 8 } }, 14_500n],
    ] as const
    const rows = usages.map(([usage], index) => chatRow(`r${index}`, fakePrompt({ usage })))
    const batch = await untilEnded(tenant.api, await startBatch(tenant.api, rows))
    const total = 19_250n
    const lines = await linesOfFile(tenant.api, batch.output_file_id)
    expect(lines.map(line => line.response.body.ipop.cost_usd)).toEqual(usages.map(([, nanos]) => Number(nanos) / 1e9))

    const books = await booksOf(db, tenant)
    const costOf = new Map(books.calls.map(call => [call.id, call.cost_nanos]))
    expect(lines.map(line => costOf.get(line.response.request_id))).toEqual(usages.map(([, nanos]) => nanos))
    expect(books.charges.map(({ reference, amount_nanos }) => [reference, -amount_nanos])).toEqual([...costOf])
    expect(books.hourly).toEqual({ requests: 3n, tokens_in: 19n, tokens_out: 12n, cost_nanos: total })
    expect(books.balanceNanos).toBe(10n * USD - total)
    expect(books.entriesNanos).toBe(books.balanceNanos)
    expect(batch.usage?.cost_usd).toBe(Number(total) / 1e9)
    const { body: usage } = await tenant.api.get('/usage?surface=batch')
    expect(usage).toMatchObject({ total_requests: 3, total_cost: Number(total) / 1e9 })
  })

  test('above the hold draws on the balance', async () => {
    const { api, userId } = await newTenant(db)
    const script = { usage: { prompt_tokens: 0, completion_tokens: 2_000 } }
    const row = chatRow('a', fakePrompt(script), { model: 'test/dear', max_tokens: 1 })
    const batch = await untilEnded(api, await startBatch(api, [row]))
    const reserved = rowNanos(fakePrompt(script), { model: 'test/dear', max_tokens: 1 })
    expect(batch).toMatchObject({ status: 'completed', request_counts: { completed: 1 } })
    expect(await entriesOf(batch.id)).toEqual([
      { kind: 'hold', amount_nanos: 0n, held_nanos: reserved },
      { kind: 'charge', amount_nanos: -USD, held_nanos: -reserved },
      { kind: 'release', amount_nanos: 0n, held_nanos: 0n },
    ])
    expect(await accountOf(userId)).toMatchObject({ balance_nanos: 9n * USD, held_nanos: 0n })
  })

  test('that uses up the balance fails the remaining rows', async () => {
    const { api, userId } = await newTenant(db)
    const ROWS = 300
    const AT_ONCE = 64
    const script = { group: `spend-${userId}`, delayMs: 100, usage: { prompt_tokens: 0, completion_tokens: 250_000 } }
    const rows = Array.from({ length: ROWS }, (_, index) =>
      chatRow(`r${index}`, fakePrompt(script), { model: 'test/plain', max_tokens: 1 }),
    )
    const batch = await untilEnded(api, await startBatch(api, rows))
    const { completed, failed } = batch.request_counts
    expect(batch).toMatchObject({ status: 'completed', last_error: null })
    expect(completed + failed).toBe(ROWS)
    // An upstream that keeps to no limit: 10 USD are 40 rows. Those under way when it was spent are finished and charged, and so are those that a chunk
    // begins before it learns, by a commit of its own, of what the other chunk has spent.
    expect(completed).toBeGreaterThanOrEqual(40)
    expect(completed).toBeLessThanOrEqual(40 + 2 * AT_ONCE)
    expect(await fakeCalls(testStack().upstreamUrl, script.group)).toHaveLength(completed)
    const errors = await linesOfFile(api, batch.error_file_id)
    expect(errors).toHaveLength(failed)
    expect(new Set(errors.map(line => line.error.code))).toEqual(new Set(['payment_required']))
    const balance = 10n * USD - (BigInt(completed) * USD) / 4n
    expect(await accountOf(userId)).toMatchObject({ balance_nanos: balance, held_nanos: 0n })
    const refused = await api.post('/batches', { input_file_id: batch.input_file_id })
    expectError(refused, 402, { code: 'payment_required' })
  })

  test('needs a positive balance to begin with', async () => {
    const { api, userId } = await newTenant(db, { creditUsd: '0' })
    const fileId = await api.upload([chatRow('a', 'x')])
    expectError(await api.post('/batches', { input_file_id: fileId }), 402, { code: 'payment_required' })
    expect((await api.get('/batches')).body.data).toEqual([])
    const { rows } = await db.query('SELECT 1 FROM jobs WHERE user_id = $1', [userId])
    expect(rows).toEqual([])
  })
})
