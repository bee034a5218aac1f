import { describe, expect, test } from '@jest/globals'
import { chatRow, linesOfFile, startBatch, untilBatch, untilEnded } from '../../support/batches.ts'
import { booksOf } from '../../support/books.ts'
import { chatOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakeCalls, fakePrompt, waitForCalls, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newKey, newTenant } from '../../support/tenants.ts'
import { HANGS_AFTER_MS } from '../../support/until.ts'

const db = testDatabase()
const { upstreamUrl } = testStack()
/** Model calls that one worker process has under way for batches. */
const ROWS_AT_ONCE = 64

const rowsOf = (count: number, script: FakeScript, model = 'test/plain') =>
  Array.from({ length: count }, (_, index) => chatRow(`r${index}`, fakePrompt(script), { model }))

describe('a model at its limit', () => {
  const PAUSE_SECONDS = 6
  const limited = (id: string): FakeScript => ({ id, failTimes: 1, status: 429, retryAfter: PAUSE_SECONDS })

  test('is left alone by every batch until Retry-After, then the rows succeed', async () => {
    const { api, userId } = await newTenant(db)
    const [first, second] = [`paused-${userId}`, `waits-${userId}`]
    const firstBatch = await startBatch(api, rowsOf(1, limited(first), 'test/paused'))
    const [refused] = await waitForCalls(upstreamUrl, first, 1, { what: 'completed' })
    const secondBatch = await startBatch(api, rowsOf(2, { id: second }, 'test/paused'))
    // Interactive calls do not wait.
    const chat = await api.post('/chat/completions', chatOf({ id: `chat-${userId}` }, { model: 'test/paused' }))
    expect(chat.status).toBe(200)

    for (const id of [firstBatch, secondBatch]) {
      expect(await untilEnded(api, id)).toMatchObject({ status: 'completed', request_counts: { failed: 0 } })
    }
    const calls = [...(await fakeCalls(upstreamUrl, first)).slice(1), ...(await fakeCalls(upstreamUrl, second))]
    const waitedMs = calls.map(call => call.at - (refused?.at ?? Number.NaN))
    expect(waitedMs).toHaveLength(3)
    for (const ms of waitedMs) {
      expect(ms).toBeGreaterThanOrEqual(PAUSE_SECONDS * 1000)
      expect(ms).toBeLessThan(PAUSE_SECONDS * 1000 + HANGS_AFTER_MS)
    }
  })

  test('keeps no place from the rows of other models', async () => {
    const [many, few] = [await newTenant(db), await newTenant(db)]
    const id = `many-${many.userId}`
    const fewRows = async () => untilEnded(few.api, await startBatch(few.api, rowsOf(3, {})))
    const beganAtMs = performance.now()
    await fewRows()
    const usualMs = performance.now() - beganAtMs
    const waiting = await startBatch(many.api, rowsOf(3 * ROWS_AT_ONCE, limited(id), 'test/paused'))
    await waitForCalls(upstreamUrl, id, 1, { what: 'completed' })
    const askedAtMs = performance.now()
    const batch = await fewRows()
    // Not after the pause, unless that is what they take on this machine.
    expect(performance.now() - askedAtMs).toBeLessThan(Math.max(PAUSE_SECONDS * 1000 - 1_000, 5 * usualMs))
    expect(batch).toMatchObject({ status: 'completed', request_counts: { completed: 3 } })
    expect(await untilEnded(many.api, waiting)).toMatchObject({
      status: 'completed',
      request_counts: { completed: 3 * ROWS_AT_ONCE, failed: 0 },
    })
  })
})

describe('a transient failure', () => {
  test('is tried again, and what succeeds is charged once', async () => {
    const tenant = await newTenant(db)
    const ids = ['a', 'b'].map(name => `flaky-${name}-${tenant.userId}`)
    const rows = ids.map(id => chatRow(id, fakePrompt({ id, failTimes: 2, reply: 'at last' }), { model: 'test/flaky' }))
    const batch = await untilEnded(tenant.api, await startBatch(tenant.api, rows))
    expect(batch).toMatchObject({ status: 'completed', request_counts: { completed: 2, failed: 0 } })
    const lines = await linesOfFile(tenant.api, batch.output_file_id)
    expect(lines.map(line => line.response.body.choices[0].message.content)).toEqual(['at last', 'at last'])
    for (const id of ids) expect(await fakeCalls(upstreamUrl, id)).toHaveLength(3)
    const { calls, charges } = await booksOf(db, tenant)
    expect([calls.length, charges.length]).toEqual([2, 2])
  })

  test('that does not pass fails the row after five tries', async () => {
    const { api, userId } = await newTenant(db)
    const id = `failing-${userId}`
    const batch = await untilEnded(api, await startBatch(api, rowsOf(1, { id, status: 503 }, 'test/failing')))
    expect(batch).toMatchObject({ status: 'completed', request_counts: { completed: 0, failed: 1 } })
    const [line] = await linesOfFile(api, batch.error_file_id)
    expect(line.error.code).toBe('service_unavailable')
    expect(await fakeCalls(upstreamUrl, id)).toHaveLength(5)
  })
})

describe('an upstream that is away', () => {
  test('is waited for, however often it gave no answer', async () => {
    const { api, userId } = await newTenant(db)
    const id = `away-${userId}`
    const rows = rowsOf(1, { id, failTimes: 6, cut: true }, 'test/away')
    const batch = await untilEnded(api, await startBatch(api, rows))
    expect(batch).toMatchObject({ status: 'completed', request_counts: { completed: 1, failed: 0 } })
    expect(await fakeCalls(upstreamUrl, id)).toHaveLength(7)
  })
})

describe('many rows', () => {
  test("of one tenant do not hold up another's few", async () => {
    const [many, few] = [await newTenant(db), await newTenant(db)]
    const script = { group: `many-${many.userId}`, delayMs: 250 }
    const big = await startBatch(many.api, rowsOf(1_500, script))
    await waitForCalls(upstreamUrl, script.group, ROWS_AT_ONCE)
    const small = await untilEnded(few.api, await startBatch(few.api, rowsOf(8, { delayMs: 250 })))
    const meanwhile = await untilBatch(many.api, big, () => true)
    expect(small).toMatchObject({ status: 'completed', request_counts: { completed: 8 } })
    expect(meanwhile.status).toBe('in_progress')
    expect(meanwhile.request_counts.completed).toBeLessThan(750)
    await many.api.post(`/batches/${big}/cancel`)
  })

  test("are not bound by the key's requests per minute", async () => {
    const unbound = await newTenant(db)
    const { api } = await newKey(db, unbound.userId, { requestsPerMinute: 2 })
    const id = await startBatch(api, rowsOf(100, {}))
    expectError(await api.get('/batches'), 429, { code: 'rate_limit_exceeded' })
    expect(await untilEnded(unbound.api, id)).toMatchObject({ request_counts: { completed: 100, failed: 0 } })
  })

  test('are never more at once than a worker may have under way', async () => {
    const { api, userId } = await newTenant(db)
    const group = `at-once-${userId}`
    await untilEnded(api, await startBatch(api, rowsOf(300, { group, delayMs: 100 })))
    const calls = await fakeCalls(upstreamUrl, group)
    expect(calls).toHaveLength(300)
    const underWay = calls.map(({ at }) => calls.filter(other => other.at <= at && (other.endedAt ?? 0) > at).length)
    expect(Math.max(...underWay)).toBeLessThanOrEqual(ROWS_AT_ONCE)
    // It runs them side by side, not one after the other.
    expect(Math.max(...underWay)).toBeGreaterThan(10)
  })
})
