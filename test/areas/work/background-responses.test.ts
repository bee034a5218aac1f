import { describe, expect, test } from '@jest/globals'
import OpenAI from 'openai'
import type { ResponseObject } from '../../../domain/inference/responses/response.schema.ts'
import { booksOf } from '../../support/books.ts'
import { upstreamCallsOf } from '../../support/chats.ts'
import type { ApiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakePrompt, releaseCalls, waitForAbort, waitForCalls, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { apiUrl, upstreamUrl } = testStack()
const RESPONSES = '/responses'

const asked = (tenant: Tenant, script: FakeScript, body: object = {}) => ({
  model: 'test/plain',
  background: true,
  input: fakePrompt({ ...script, id: tenant.keyId }),
  ...body,
})
const start = async (tenant: Tenant, script: FakeScript, body: object = {}): Promise<ResponseObject> => {
  const reply = await tenant.api.post<ResponseObject>(RESPONSES, asked(tenant, script, body))
  expect(reply.status).toBe(200)
  return reply.body
}
const get = async (api: ApiClient, id: string) => (await api.get<ResponseObject>(`${RESPONSES}/${id}`)).body
const ended = (api: ApiClient, id: string) =>
  until(async () => {
    const response = await get(api, id)
    return !['queued', 'in_progress'].includes(response.status) && response
  })
const streamOf = async ({ secret }: Tenant, id: string, after?: number): Promise<any[]> => {
  const from = after === undefined ? '' : `&starting_after=${after}`
  const reply = await fetch(`${apiUrl}/v1${RESPONSES}/${id}?stream=true${from}`, { headers: { 'x-api-key': secret } })
  return parsed(await reply.text())
}
const parsed = (text: string): any[] =>
  text.split('\n\n').flatMap(block => {
    const data = /^data: (.*)$/m.exec(block)?.[1]
    return data === undefined ? [] : [JSON.parse(data)]
  })
const typesOf = (events: { type: string }[]) => events.map(event => event.type)

describe('a background response', () => {
  test('answers at once, runs without its client, and ends as it would have in the foreground', async () => {
    const tenant = await newTenant(db)
    const begun = await start(tenant, { reply: 'one two', held: true }, { metadata: { a: 'b' } })
    expect(begun).toMatchObject({ status: 'queued', background: true, output: [], usage: { total_tokens: 0 } })
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    expect(await get(tenant.api, begun.id)).toMatchObject({ status: 'in_progress', output: [] })
    await releaseCalls(upstreamUrl, tenant.keyId)
    const response = await ended(tenant.api, begun.id)
    expect(response).toMatchObject({
      status: 'completed',
      background: true,
      output_text: 'one two',
      metadata: { a: 'b' },
      usage: { output_tokens: 2 },
    })
    const { calls, charges } = await booksOf(db, tenant)
    expect(calls).toHaveLength(1)
    expect(calls[0]).toMatchObject({ surface: 'responses', status: 'completed', streamed: true })
    expect(charges).toHaveLength(1)
  })

  test('is continued by another, once it has ended', async () => {
    const tenant = await newTenant(db)
    const first = await start(tenant, { reply: 'first', held: true })
    const early = await tenant.api.post(RESPONSES, asked(tenant, {}, { previous_response_id: first.id }))
    expectError(early, 409, { param: 'previous_response_id' })
    await releaseCalls(upstreamUrl, tenant.keyId)
    await ended(tenant.api, first.id)
    const second = await start(tenant, { reply: 'second' }, { previous_response_id: first.id })
    await ended(tenant.api, second.id)
    const calls = await upstreamCallsOf(tenant)
    expect(((calls.at(-1)?.body ?? {}) as any).messages.map((message: any) => message.role)).toEqual([
      'user',
      'assistant',
      'user',
    ])
  })

  test('is cut off by its limit, and fails with what its model said', async () => {
    const tenant = await newTenant(db)
    const cut = await start(tenant, { reply: 'one', finishReason: 'length' })
    expect(await ended(tenant.api, cut.id)).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'max_output_tokens' },
    })
    const failed = await start(tenant, { status: 400, errorMessage: 'no' })
    expect(await ended(tenant.api, failed.id)).toMatchObject({ status: 'failed', error: { code: 'bad_request' } })
    expect(typesOf(await streamOf(tenant, failed.id)).at(-1)).toBe('response.failed')
  })

  test('is made once for an idempotency key', async () => {
    const tenant = await newTenant(db)
    const post = () => tenant.api.post(RESPONSES, asked(tenant, { reply: 'x' }), { 'idempotency-key': 'k' })
    const [first, second] = await Promise.all([post(), post()])
    expect(first.body.id).toBe(second.body.id)
    await ended(tenant.api, first.body.id)
    expect(await upstreamCallsOf(tenant)).toHaveLength(1)
  })

  test('must be stored, and paid for', async () => {
    const tenant = await newTenant(db, { creditUsd: '0' })
    expectError(await tenant.api.post(RESPONSES, asked(tenant, {}, { store: false })), 400, { param: 'store' })
    expectError(await tenant.api.post(RESPONSES, asked(tenant, {})), 402, { code: 'payment_required' })
    expect((await booksOf(db, tenant)).calls).toEqual([])
  })
})

const types = ({ length }: { length: number }, ...others: string[]) => [
  'response.created',
  'response.queued',
  'response.in_progress',
  'response.output_item.added',
  'response.content_part.added',
  ...Array<string>(length).fill('response.output_text.delta'),
  'response.output_text.done',
  'response.content_part.done',
  'response.output_item.done',
  ...others,
]

describe('its events', () => {
  test('are those of a stream, and are read again from any of them on, with the same numbers', async () => {
    const tenant = await newTenant(db)
    const reply = await tenant.api.open(RESPONSES, asked(tenant, { reply: 'one two three' }, { stream: true }))
    expect(reply.headers.get('content-type')).toContain('text/event-stream')
    const live = parsed(await reply.text())
    const deltas = live.filter(event => event.type === 'response.output_text.delta')
    expect(typesOf(live)).toEqual(types(deltas, 'response.completed'))
    expect(live.map(event => event.sequence_number)).toEqual(live.map((_, index) => index))
    expect(deltas.map(event => event.delta).join('')).toBe('one two three')
    const { id } = live[0].response
    expect(live.at(-1).response).toEqual(await get(tenant.api, id))
    expect(await streamOf(tenant, id)).toEqual(live)
    expect(await streamOf(tenant, id, 4)).toEqual(live.slice(5))
    expect(await streamOf(tenant, id, live.length - 1)).toEqual([])
  })

  test('are followed by a reader who comes while it runs', async () => {
    const tenant = await newTenant(db)
    const { id } = await start(tenant, { chunks: ['one', ' two', ' three'], chunkDelayMs: 100 })
    const events = await streamOf(tenant, id)
    expect(typesOf(events).at(-1)).toBe('response.completed')
    expect(events.at(-1).response.output_text).toBe('one two three')
  })

  test('say where the output begins anew, and what came before is not part of the end', async () => {
    const tenant = await newTenant(db)
    const { id } = await start(tenant, {
      reply: 'one two three four',
      dieAfterChunks: 2,
      dieTimes: 1,
      chunkDelayMs: 120,
    })
    const events = await streamOf(tenant, id)
    const restart = events.findIndex(event => event.type === 'response.restarted')
    expect(events[restart]).toMatchObject({ response_id: id, attempt: 2 })
    expect(typesOf(events.slice(0, restart))).toContain('response.output_text.delta')
    const after = events.slice(restart).filter(event => event.type === 'response.output_text.delta')
    expect(after.map(event => event.delta).join('')).toBe('one two three four')
    expect(events.at(-1).response).toMatchObject({ status: 'completed', output_text: 'one two three four' })
    expect(events.at(-1).response.output).toHaveLength(1)
    expect((await booksOf(db, tenant)).charges).toHaveLength(1)
  })

  test('are made from its end where they are past their retention', async () => {
    const tenant = await newTenant(db)
    const { id } = await start(tenant, { reply: 'one two' })
    const response = await ended(tenant.api, id)
    const logId = id.replace('resp_', '')
    await db.query('DELETE FROM log_events WHERE log_id = $1::uuid', [logId])
    await db.query('UPDATE event_logs SET removed_seq = last_seq WHERE id = $1::uuid', [logId])
    const events = await streamOf(tenant, id)
    expect(typesOf(events).at(-1)).toBe('response.completed')
    expect(events.at(-1).response).toEqual(response)
  })
})

describe('a cancel', () => {
  test('stops the model, bills what it wrote, and shows the end', async () => {
    const tenant = await newTenant(db)
    const { id } = await start(tenant, { reply: 'one two three', hangAfterChunks: 2 })
    const reading = streamOf(tenant, id)
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    await until(async () => {
      const { rows } = await db.query(`SELECT 1 FROM log_events WHERE log_id = $1::uuid AND type = 'turn.delta'`, [
        id.replace('resp_', ''),
      ])
      return rows.length > 0
    })
    const canceled = await tenant.api.post<ResponseObject>(`${RESPONSES}/${id}/cancel`)
    expect(canceled.body).toMatchObject({ status: 'cancelled', background: true })
    expect(canceled.body.output_text).toMatch(/^one/)
    expect(await waitForAbort(upstreamUrl, tenant.keyId)).toHaveLength(1)
    expect(typesOf(await reading).at(-1)).toBe('response.cancelled')
    const { calls, charges } = await booksOf(db, tenant)
    expect(calls).toMatchObject([{ status: 'canceled' }])
    expect(charges).toHaveLength(1)
    expect((await tenant.api.post(`${RESPONSES}/${id}/cancel`)).body).toEqual(canceled.body)
  })

  test('of one that has ended changes nothing, and of one in the foreground is refused', async () => {
    const tenant = await newTenant(db)
    const { id } = await start(tenant, { reply: 'x' })
    const response = await ended(tenant.api, id)
    expect((await tenant.api.post(`${RESPONSES}/${id}/cancel`)).body).toEqual(response)
    const plain = await tenant.api.post(RESPONSES, { ...asked(tenant, {}), background: false })
    expectError(await tenant.api.post(`${RESPONSES}/${plain.body.id}/cancel`), 400, { param: 'response_id' })
  })

  test('comes before a delete', async () => {
    const tenant = await newTenant(db)
    const { id } = await start(tenant, { hang: true })
    expectError(await tenant.api.delete(`${RESPONSES}/${id}`), 409, { param: 'response_id' })
    await tenant.api.post(`${RESPONSES}/${id}/cancel`)
    expect((await tenant.api.delete(`${RESPONSES}/${id}`)).body).toMatchObject({ deleted: true })
    expectError(await tenant.api.get(`${RESPONSES}/${id}`), 404)
    const left = await db.query('SELECT 1 FROM agent_turns WHERE user_id = $1', [tenant.userId])
    expect(left.rows).toEqual([])
  })
})

test("OpenAI's client starts, polls, streams and cancels one", async () => {
  const tenant = await newTenant(db)
  const client = new OpenAI({ apiKey: tenant.secret, baseURL: `${apiUrl}/v1`, maxRetries: 0 })
  const begun = await client.responses.create(asked(tenant, { reply: 'from afar' }) as never)
  const { id } = begun as unknown as ResponseObject
  const stream = await client.responses.retrieve(id, { stream: true, starting_after: 2 })
  const seen: string[] = []
  for await (const event of stream) seen.push(event.type)
  expect(seen.at(-1)).toBe('response.completed')
  expect((await client.responses.retrieve(id)).output_text).toBe('from afar')
  expect((await client.responses.cancel(id)).status).toBe('completed')
})

test('it is no agent turn to its owner', async () => {
  const tenant = await newTenant(db)
  const { id } = await start(tenant, { reply: 'x' })
  const uuid = id.replace(/^resp_(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
  expectError(await tenant.api.get(`/agent-turns/${uuid}`), 404)
  await ended(tenant.api, id)
})
