import { describe, expect, test } from '@jest/globals'
import { sweepEvents } from '../../../domain/durable/event-log/retention.ts'
import { booksOf } from '../../support/books.ts'
import { chatOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakeCalls, waitForAbort, waitForCalls } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import {
  allTurnEvents,
  parsedEvents,
  startTurn,
  textOf,
  turnEvents,
  typesOf,
  type TurnEvent,
} from '../../support/turns.ts'

const db = testDatabase()
const { apiUrl, upstreamUrl } = testStack()
/** Three times what is promised. */
const ABORTED_WITHIN_MS = 20_000

const contiguous = (events: readonly TurnEvent[], first = 1): void =>
  expect(events.map(event => event.seq)).toEqual(events.map((_, index) => first + index))
const turnOf = async ({ api }: Tenant, id: string) => (await api.get(`/agent-turns/${id}`)).body

describe('a turn', () => {
  test('answers before the model does, and tells its story by events', async () => {
    const tenant = await newTenant(db)
    const reply = await tenant.api.post(
      '/agent-turns',
      chatOf({ id: tenant.keyId, reply: 'one two three', delayMs: 500 }),
    )
    expect(reply.status).toBe(200)
    const id = reply.body.request_id as string
    expect(reply.body).toMatchObject({
      object: 'agent_turn',
      lifecycle: 'queued',
      model: 'test/plain',
      latest_event_seq: 1,
      full_event_replay_available: true,
      events_url: `/v1/agent-turns/${id}/events`,
      cancel_url: `/v1/agent-turns/${id}/cancel`,
    })
    const events = await allTurnEvents(tenant.secret, id)
    contiguous(events)
    const types = typesOf(events)
    expect(types.slice(0, 4)).toEqual(['queued', 'warming', 'running', 'streaming'])
    expect(types.slice(-2)).toEqual(['turn.usage', 'turn.completed'])
    expect(textOf(events)).toBe('one two three')
    expect(events.find(event => event.type === 'turn.delta')?.data).toMatchObject({ object: 'chat.completion.chunk' })
    expect(await turnOf(tenant, id)).toMatchObject({ lifecycle: 'completed', latest_event_seq: events.length })

    const { calls, charges, balanceNanos, entriesNanos } = await booksOf(db, tenant)
    expect(calls).toMatchObject([{ id, surface: 'turn', status: 'completed', tokens_out: 3 }])
    expect(charges).toEqual([{ reference: id, amount_nanos: -(calls[0]?.cost_nanos ?? 0n) }])
    expect(balanceNanos).toBe(entriesNanos)
    expect(events.at(-2)?.data).toMatchObject({ usage: { completion_tokens: 3 } })
    const [row] = (await db.query('SELECT request FROM agent_turns WHERE user_id = $1', [tenant.userId])).rows
    expect(row).toEqual({ request: null })
  })

  test('streams itself where that is what the client accepts', async () => {
    const { secret } = await newTenant(db)
    const reply = await fetch(`${apiUrl}/v1/agent-turns`, {
      method: 'POST',
      headers: { 'x-api-key': secret, accept: 'text/event-stream', 'content-type': 'application/json' },
      body: JSON.stringify(chatOf({ reply: 'hello there' })),
    })
    expect(reply.headers.get('content-type')).toContain('text/event-stream')
    const events: TurnEvent[] = []
    for await (const event of parsedEvents(reply.body as ReadableStream<Uint8Array>)) events.push(event)
    expect(textOf(events)).toBe('hello there')
  })

  test('with tool calls ends in tooling', async () => {
    const tenant = await newTenant(db)
    const toolCalls = [{ name: 'read_file', arguments: '{"path":"a"}' }]
    const tools = [{ type: 'function', function: { name: 'read_file', parameters: { type: 'object' } } }]
    const events = await allTurnEvents(tenant.secret, await startTurn(tenant.api, { toolCalls }, { tools }))
    expect(typesOf(events).slice(-3)).toEqual(['tooling', 'turn.usage', 'turn.completed'])
  })

  test('is made once for an idempotency key', async () => {
    const tenant = await newTenant(db)
    const ask = () => tenant.api.post('/agent-turns', chatOf({ reply: 'once' }), { 'idempotency-key': 'k' })
    const [first, second] = [await ask(), await ask()]
    expect(second.body.request_id).toBe(first.body.request_id)
    await allTurnEvents(tenant.secret, first.body.request_id)
    expect((await booksOf(db, tenant)).charges).toHaveLength(1)
  })

  test('that the credit does not cover is a 402 and leaves nothing', async () => {
    const tenant = await newTenant(db, { creditUsd: '0.00001' })
    expectError(await tenant.api.post('/agent-turns', chatOf({})), 402, { code: 'payment_required' })
    expect((await db.query('SELECT 1 FROM agent_turns WHERE user_id = $1', [tenant.userId])).rows).toEqual([])
  })
})

describe('a reader', () => {
  test('goes on after any event, without a gap or a repeat', async () => {
    const tenant = await newTenant(db)
    const chunks = Array.from({ length: 20 }, (_, index) => `w${index} `)
    const id = await startTurn(tenant.api, { id: tenant.keyId, chunks, chunkDelayMs: 60 })
    const seen: TurnEvent[] = []
    for (let over = false; !over;) {
      for await (const event of turnEvents(tenant.secret, id, { after: seen.at(-1)?.seq ?? 0 })) {
        seen.push(event)
        over = event.type === 'turn.completed'
        break
      }
    }
    contiguous(seen)
    expect(textOf(seen)).toBe(chunks.join(''))
    expect(await allTurnEvents(tenant.secret, id)).toEqual(seen)
    expect(await allTurnEvents(tenant.secret, id, { after: seen.length })).toEqual([])
    expect(await allTurnEvents(tenant.secret, id, { after: seen.length - 1 })).toEqual(seen.slice(-1))
  })

  test('of which there are many reads the same', async () => {
    const tenant = await newTenant(db)
    const id = await startTurn(tenant.api, { reply: 'a b c d e f', chunkDelayMs: 60 })
    const readers = await Promise.all(Array.from({ length: 25 }, () => allTurnEvents(tenant.secret, id)))
    for (const events of readers) expect(events).toEqual(readers[0])
    expect(textOf(readers[0] ?? [])).toBe('a b c d e f')
  })

  test.each(['-1', 'x', '1.5', '99999999999999999999'])('with the last event id %s gets a 400', async after => {
    const tenant = await newTenant(db)
    const id = await startTurn(tenant.api, {})
    const reply = await tenant.api.get(`/agent-turns/${id}/events`, { 'last-event-id': after })
    expectError(reply, 400, { param: 'Last-Event-ID' })
    expectError(await tenant.api.get(`/agent-turns/${id}/events?after_event_seq=9999`), 400, {
      param: 'after_event_seq',
    })
  })

  test('is told of a gap after the retention, and gets a 409 where nothing is left', async () => {
    const tenant = await newTenant(db)
    const id = await startTurn(tenant.api, { reply: 'gone soon' })
    const all = await allTurnEvents(tenant.secret, id)
    const age = (days: number) =>
      db.query(`UPDATE event_logs SET closed_at = now() - $2::integer * interval '1 day' WHERE id = $1::uuid`, [
        id,
        days,
      ])
    await age(8)
    while (await sweepEvents(db));
    expect(await turnOf(tenant, id)).toMatchObject({ full_event_replay_available: false, lifecycle: 'completed' })
    const [gap, ...rest] = await allTurnEvents(tenant.secret, id)
    expect(gap).toEqual({
      seq: undefined,
      type: 'turn.gap',
      data: { missing_from_seq: 1, missing_to_seq: all.length - 2 },
    })
    expect(rest).toEqual(all.slice(-2))
    await age(31)
    while (await sweepEvents(db));
    expectError(await tenant.api.get(`/agent-turns/${id}/events`), 409, { type: 'conflict' })
  })

  test('of a model that is silent for long gets a comment, which proxies take for life', async () => {
    const tenant = await newTenant(db)
    const id = await startTurn(tenant.api, { hang: true })
    const headers = { 'x-api-key': tenant.secret }
    const reply = await fetch(`${apiUrl}/v1/agent-turns/${id}/events`, { headers })
    let seen = ''
    for await (const text of (reply.body as ReadableStream<Uint8Array>).pipeThrough(new TextDecoderStream())) {
      seen += text
      if (seen.endsWith('\n\n: keep-alive\n\n')) break
    }
    expect(seen).toMatch(/^(id: \d+\nevent: turn\.\w+\ndata: \{.*\}\n\n)+: keep-alive\n\n$/)
    await tenant.api.post(`/agent-turns/${id}/cancel`)
  })

  test('of another account learns nothing', async () => {
    const [tenant, other] = [await newTenant(db), await newTenant(db)]
    const id = await startTurn(tenant.api, {})
    for (const reply of [
      await other.api.get(`/agent-turns/${id}`),
      await other.api.get(`/agent-turns/${id}/events`),
      await other.api.post(`/agent-turns/${id}/cancel`),
      await tenant.api.get('/agent-turns/nothing'),
      await tenant.api.get('/agent-turns/01a20701-a8e3-7000-8000-000000000000'),
    ]) {
      expectError(reply, 404, { type: 'not_found', param: 'request_id' })
    }
  })
})

describe('a cancel', () => {
  test('stops the model, and bills what it wrote', async () => {
    const tenant = await newTenant(db)
    const id = await startTurn(tenant.api, { id: tenant.keyId, reply: 'one two three', hangAfterChunks: 3 })
    for await (const event of turnEvents(tenant.secret, id)) if (JSON.stringify(event).includes('three')) break
    const askedAtMs = Date.now()
    const stopping = await tenant.api.post(`/agent-turns/${id}/cancel`)
    expect(stopping.body.lifecycle).toBe('cancel_requested')
    const [call] = await waitForAbort(upstreamUrl, tenant.keyId)
    expect((call?.endedAt ?? Infinity) - askedAtMs).toBeLessThan(ABORTED_WITHIN_MS)
    const events = await allTurnEvents(tenant.secret, id)
    contiguous(events)
    expect(typesOf(events).slice(-2)).toEqual(['turn.usage', 'turn.canceled'])
    expect((await tenant.api.post(`/agent-turns/${id}/cancel`)).body.lifecycle).toBe('canceled')
    const { calls, charges } = await booksOf(db, tenant)
    expect(calls).toMatchObject([{ status: 'canceled', tokens_out: 3, usage_source: 'counted' }])
    expect(charges).toHaveLength(1)
  })

  test('of what has ended is harmless', async () => {
    const tenant = await newTenant(db)
    const id = await startTurn(tenant.api, {})
    const events = await allTurnEvents(tenant.secret, id)
    expect((await tenant.api.post(`/agent-turns/${id}/cancel`)).body).toMatchObject({
      lifecycle: 'completed',
      latest_event_seq: events.length,
    })
  })
})

describe('an upstream that fails', () => {
  test('within its stream is asked again, and what it wrote is void', async () => {
    const tenant = await newTenant(db)
    const script = { id: tenant.keyId, reply: 'one two three', dieAfterChunks: 2, dieTimes: 1 }
    const events = await allTurnEvents(tenant.secret, await startTurn(tenant.api, script))
    contiguous(events)
    const restarted = events.find(event => event.type === 'turn.restarted')
    expect(restarted?.data).toMatchObject({ attempt: 2, void_after_seq: 1 })
    expect(textOf(events)).toBe('one two three')
    expect(events.at(-1)?.type).toBe('turn.completed')
    const { calls, charges } = await booksOf(db, tenant)
    expect(calls).toMatchObject([{ status: 'completed', tokens_out: 3 }])
    expect(charges).toHaveLength(1)
    expect(await fakeCalls(upstreamUrl, tenant.keyId)).toHaveLength(2)
  })

  test('always fails the turn, which costs nothing', async () => {
    const tenant = await newTenant(db)
    const script = { id: tenant.keyId, reply: 'one two three', dieAfterChunks: 2 }
    const id = await startTurn(tenant.api, script)
    const events = await allTurnEvents(tenant.secret, id)
    expect(events.at(-1)).toMatchObject({ type: 'turn.failed', data: { error: { code: 'service_unavailable' } } })
    expect(await turnOf(tenant, id)).toMatchObject({ lifecycle: 'failed', retryable: true })
    const { charges, balanceNanos } = await booksOf(db, tenant)
    expect(charges).toEqual([])
    expect(
      (await db.query('SELECT 1 FROM holds WHERE user_id = $1 AND released_at IS NULL', [tenant.userId])).rows,
    ).toEqual([])
    expect(balanceNanos).toBe(10_000_000_000n)
  })

  test('by refusing the request fails the turn at once', async () => {
    const tenant = await newTenant(db)
    const id = await startTurn(tenant.api, { id: tenant.keyId, status: 400, errorMessage: 'no such seed' })
    const events = await allTurnEvents(tenant.secret, id)
    expect(events.at(-1)).toMatchObject({
      type: 'turn.failed',
      data: { error: { code: 'bad_request', retryable: false } },
    })
    expect(await waitForCalls(upstreamUrl, tenant.keyId, 1)).toHaveLength(1)
  })
})
