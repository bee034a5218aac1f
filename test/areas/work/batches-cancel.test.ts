import { describe, expect, test } from '@jest/globals'
import type { BatchDetail } from '../../../domain/work/batches/batch.schema.ts'
import { chatRow, linesOfFile, startBatch, untilBatch, untilEnded } from '../../support/batches.ts'
import { booksOf } from '../../support/books.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakeCalls, fakePrompt, waitForCalls } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { upstreamUrl } = testStack()
/** What is promised, ten times. */
const ABORTED_WITHIN_MS = 10 * 2_000
const CANCELLED_WITHIN_MS = 10 * 5_000
/** Longer than a cancel may take, shorter than the upstream's time limit. */
const SLOW_MS = 120_000

const msBetween = (from: string | null | undefined, to: string | null | undefined) =>
  Date.parse(to ?? '') - Date.parse(from ?? '')

/** Every row is in one file, in row order, and what was finished was charged. */
async function expectCutShort(tenant: Tenant, batch: BatchDetail, ids: string[], code: string): Promise<void> {
  const output = await linesOfFile(tenant.api, batch.output_file_id)
  const errors = await linesOfFile(tenant.api, batch.error_file_id)
  const [done, cut] = [output, errors].map(lines => lines.map(line => line.custom_id as string))
  expect(done).toEqual(ids.filter(id => done?.includes(id)))
  expect(cut).toEqual(ids.filter(id => !done?.includes(id)))
  expect(new Set(errors.map(line => line.error.code))).toEqual(new Set([code]))
  expect(batch.request_counts).toEqual({ total: ids.length, completed: output.length, failed: errors.length })

  const nanosOf = (usd: number) => BigInt(Math.round(usd * 1e9))
  const paid = output.reduce((sum, line) => sum + nanosOf(line.response.body.ipop.cost_usd as number), 0n)
  const { calls, charges, balanceNanos } = await booksOf(db, tenant)
  expect(new Set(calls.map(call => call.id))).toEqual(new Set(output.map(line => line.response.request_id)))
  expect(charges).toHaveLength(output.length)
  expect(10_000_000_000n - balanceNanos).toBe(paid)
  expect(nanosOf(batch.usage?.cost_usd ?? -1)).toBe(paid)
  const { rows } = await db.query('SELECT held_nanos FROM accounts WHERE user_id = $1', [tenant.userId])
  expect(rows).toEqual([{ held_nanos: 0n }])
}

describe('cancel', () => {
  test('stops 2,000 rows: calls are aborted, finished rows are kept and paid, the others are not', async () => {
    const tenant = await newTenant(db)
    const { api, userId } = tenant
    const slow = `slow-${userId}`
    const ids = Array.from({ length: 2_000 }, (_, index) => `r${index}`)
    const scriptOf = (index: number) => (index % 25 === 24 ? { group: slow, delayMs: SLOW_MS } : { delayMs: 50 })
    const id = await startBatch(
      api,
      ids.map((rowId, index) => chatRow(rowId, fakePrompt({ ...scriptOf(index), reply: `reply to ${rowId}` }))),
    )
    await untilBatch(api, id, batch => batch.request_counts.completed >= 200)
    const under = await waitForCalls(upstreamUrl, slow, 8)
    expect(under.some(call => call.endedAt === null)).toBe(true)

    const askedAtMs = Date.now()
    const { status, body } = await api.post(`/batches/${id}/cancel`)
    expect({ status, body }).toMatchObject({
      status: 200,
      body: { id, status: 'cancelling', cancel_requested_at: expect.any(String), completed_at: null },
    })
    // Asking again changes nothing.
    const again = await api.post(`/batches/${id}/cancel`)
    expect([again.status, again.body.cancel_requested_at]).toEqual([200, body.cancel_requested_at])

    const batch = await untilEnded(api, id)
    expect(batch).toMatchObject({ status: 'cancelled', cancel_requested_at: body.cancel_requested_at })
    expect(msBetween(batch.cancel_requested_at, batch.completed_at)).toBeLessThan(CANCELLED_WITHIN_MS)
    const calls = await fakeCalls(upstreamUrl, slow)
    expect(calls.length).toBeGreaterThanOrEqual(8)
    for (const call of calls) {
      expect(call).toMatchObject({ aborted: true, completed: false })
      expect((call.endedAt ?? Number.POSITIVE_INFINITY) - askedAtMs).toBeLessThan(ABORTED_WITHIN_MS)
    }
    await expectCutShort(tenant, batch, ids, 'batch_cancelled')
    expect(batch.request_counts.completed).toBeGreaterThanOrEqual(200)
    expect(batch.request_counts.failed).toBeGreaterThan(calls.length)

    const late = await api.post(`/batches/${id}/cancel`)
    expect([late.status, late.body.status]).toEqual([200, 'cancelled'])
    // Nothing runs on.
    expect(await fakeCalls(upstreamUrl, slow)).toHaveLength(calls.length)
  })

  test('while it is validated leaves every row undone', async () => {
    const { api, userId } = await newTenant(db)
    const group = `early-${userId}`
    // Rows are written down a page at a time: with so many there are pages to come when the first is there.
    const rows = Array.from({ length: 50_000 }, (_, index) => chatRow(`r${index}`, fakePrompt({ group })))
    const id = await startBatch(api, rows)
    const written = async () => (await db.query('SELECT 1 FROM batch_rows WHERE batch_id = $1', [id])).rowCount
    await until(async () => (await written()) > 0)
    const reply = await api.post(`/batches/${id}/cancel`)
    expect(reply.body).toMatchObject({ status: 'cancelling', started_at: null })
    const batch = await untilEnded(api, id)
    expect(batch).toMatchObject({ status: 'cancelled', output_file_id: null, usage: { cost_usd: 0 } })
    expect(batch.request_counts).toEqual({ total: await written(), completed: 0, failed: await written() })
    const lines = await linesOfFile(api, batch.error_file_id)
    expect(lines.map(line => line.custom_id)).toEqual(lines.map((_, index) => `r${index}`))
    expect(lines).toHaveLength(await written())
    expect(new Set(lines.map(line => line.error.code))).toEqual(new Set(['batch_cancelled']))
    expect(await fakeCalls(upstreamUrl, group)).toEqual([])
    const { rows: accounts } = await db.query('SELECT held_nanos FROM accounts WHERE user_id = $1', [userId])
    expect(accounts).toEqual([{ held_nanos: 0n }])
  })

  test.each([
    ['completed', [chatRow('a', 'x')]],
    ['failed', ''],
  ])('of a batch that is %s is a conflict', async (status, rows) => {
    const { api } = await newTenant(db)
    const id = await startBatch(api, rows)
    expect((await untilEnded(api, id)).status).toBe(status)
    const reply = await api.post(`/batches/${id}/cancel`)
    expectError(reply, 409, { code: 'bad_request', type: 'conflict', param: 'batch_id' })
    expect(reply.headers.get('x-should-retry')).toBe('false')
    expect((await api.get(`/batches/${id}`)).body).toMatchObject({ status, cancel_requested_at: null })
  })
})

describe('the completion window', () => {
  test('ends the batch as expired: finished rows are kept and paid, the others are not', async () => {
    const tenant = await newTenant(db)
    const { api, userId } = tenant
    const slow = `late-${userId}`
    const ids = Array.from({ length: 20 }, (_, index) => `r${index}`)
    const rows = ids.map((rowId, index) =>
      chatRow(rowId, fakePrompt(index % 2 === 0 ? {} : { group: slow, delayMs: SLOW_MS })),
    )
    const batch = await untilEnded(api, await startBatch(api, rows, { completion_window: '8s' }))
    expect(batch).toMatchObject({
      status: 'expired',
      completion_window_secs: 8,
      request_counts: { total: 20, completed: 10, failed: 10 },
      cancel_requested_at: null,
    })
    expect(msBetween(batch.created_at, batch.deadline_at)).toBe(8_000)
    expect(msBetween(batch.deadline_at, batch.completed_at)).toBeGreaterThanOrEqual(0)
    expect(msBetween(batch.deadline_at, batch.completed_at)).toBeLessThan(CANCELLED_WITHIN_MS)
    const calls = await fakeCalls(upstreamUrl, slow)
    expect(calls.map(call => call.aborted)).toEqual(Array(10).fill(true))
    await expectCutShort(tenant, batch, ids, 'batch_expired')
    expectError(await api.post(`/batches/${batch.id}/cancel`), 409, { type: 'conflict' })
  })
})
