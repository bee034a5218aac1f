import { describe, expect, test } from '@jest/globals'
import OpenAI from 'openai'
import { sweepKeptReplies } from '../../../domain/tenancy/idempotency/kept-replies.ts'
import { addCredit } from '../../../domain/money/ledger/ledger.service.ts'
import { spawnApi } from '../../support/api-process.ts'
import { declareLost } from '../../support/balance-processes.ts'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf, upstreamCallsOf } from '../../support/chats.ts'
import { apiClient, type ApiReply } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakePrompt, releaseCalls, waitForCalls, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { apiUrl, upstreamUrl } = testStack()
const KEY = { 'idempotency-key': 'a-key' }
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const DRAWING: FakeScript = {
  reply: '',
  extraMessage: { images: [{ type: 'image_url', image_url: { url: `data:image/png;base64,${PNG}` } }] },
  usage: { prompt_tokens: 12, completion_tokens: 0, total_tokens: 12, cost: 0.04 },
}

type Body = (script: FakeScript, more?: object) => object
const chat: Body = (script, more) => chatOf(script, more)
const response: Body = (script, more) => ({ model: 'test/plain', input: fakePrompt(script), ...more })
const OPERATIONS: [string, string, Body, FakeScript][] = [
  ['a chat', CHAT, chat, { reply: 'once only' }],
  ['a response', '/responses', response, { reply: 'once only' }],
  ['an embedding', '/embeddings', script => ({ model: 'test/embed', input: fakePrompt(script) }), {}],
  ['an image', '/images/generations', script => ({ model: 'test/draw', prompt: fakePrompt(script) }), DRAWING],
]
const isRepeated = ({ headers }: ApiReply): boolean => headers.get('idempotent-replayed') === 'true'
const callsOf = async (tenant: Tenant) => (await upstreamCallsOf(tenant)).length
const shorn = (text: string): string => text.replaceAll(': keep-alive\n\n', '')

describe('a request with an Idempotency-Key that comes again', () => {
  test.each(OPERATIONS)('%s: has the same reply, and was made and charged once', async (_what, path, body, script) => {
    const tenant = await newTenant(db)
    const request = body({ ...script, id: tenant.keyId })
    const first = await tenant.api.post(path, request, KEY)
    const second = await tenant.api.post(path, request, KEY)
    expect([first.status, second.status]).toEqual([200, 200])
    expect(second.text).toBe(first.text)
    expect([isRepeated(first), isRepeated(second)]).toEqual([false, true])
    expect(await callsOf(tenant)).toBe(1)
    expect((await booksOf(db, tenant)).charges).toHaveLength(1)
  })

  test.each([
    ['a chat', CHAT, chat, 'data: [DONE]\n\n'],
    ['a response', '/responses', response, 'event: response.completed'],
  ])('%s that is streamed: has the same events', async (_what, path, body, end) => {
    const tenant = await newTenant(db)
    const request = body({ id: tenant.keyId, reply: 'one two three' }, { stream: true })
    const first = await tenant.api.post(path, request, KEY)
    expect(first.text).toContain(end)
    const second = await until(async () => {
      const reply = await tenant.api.post(path, request, KEY)
      return reply.status === 200 && reply
    })
    expect(shorn(second.text)).toBe(shorn(first.text))
    expect(second.headers.get('content-type')).toMatch(/^text\/event-stream/)
    expect(isRepeated(second)).toBe(true)
    expect(await callsOf(tenant)).toBe(1)
    expect((await booksOf(db, tenant)).charges).toHaveLength(1)
  })

  test('while the first is under way: is told to ask again, and has its reply then', async () => {
    const tenant = await newTenant(db)
    const request = chatOf({ id: tenant.keyId, held: true })
    const first = tenant.api.post(CHAT, request, KEY)
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    const early = await tenant.api.post(CHAT, request, KEY)
    expect(expectError(early, 409)).toMatchObject({ error_type: 'conflict', param: 'Idempotency-Key', retryable: true })
    expect(early.headers.get('retry-after')).toBe('1')
    expect(early.headers.get('x-should-retry')).toBeNull()
    await releaseCalls(upstreamUrl, tenant.keyId)
    const { text } = await first
    expect((await tenant.api.post(CHAT, request, KEY)).text).toBe(text)
  })

  test('twenty at once: one is made', async () => {
    const tenant = await newTenant(db)
    const request = chatOf({ id: tenant.keyId, delayMs: 200 })
    const replies = await Promise.all(Array.from({ length: 20 }, () => tenant.api.post(CHAT, request, KEY)))
    expect(replies.every(({ status }) => status === 200 || status === 409)).toBe(true)
    expect(replies.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(1)
    expect(await callsOf(tenant)).toBe(1)
    expect((await booksOf(db, tenant)).charges).toHaveLength(1)
  })

  test('with another body: is refused, naming the header', async () => {
    const tenant = await newTenant(db)
    await tenant.api.post(CHAT, chatOf({ id: tenant.keyId }), KEY)
    const other = await tenant.api.post(CHAT, chatOf({ id: tenant.keyId }, { temperature: 0.5 }), KEY)
    expect(expectError(other, 409)).toMatchObject({
      error_type: 'conflict',
      param: 'Idempotency-Key',
      retryable: false,
    })
    expect(other.headers.get('x-should-retry')).toBe('false')
    expect(await callsOf(tenant)).toBe(1)
  })

  test('of another account, another project, or another operation: is another request', async () => {
    const [first, second] = [await newTenant(db), await newTenant(db, { inProject: true })]
    const sibling = await newKey(db, second.userId)
    const request = chatOf({ id: first.keyId })
    for (const { api } of [first, second, sibling]) {
      expect(isRepeated(await api.post(CHAT, request, KEY))).toBe(false)
    }
    expect(isRepeated(await first.api.post('/responses', response({ id: first.keyId }), KEY))).toBe(false)
    expect(await callsOf(first)).toBe(4)
  })

  test('after a day: is made anew', async () => {
    const tenant = await newTenant(db)
    const request = chatOf({ id: tenant.keyId })
    await tenant.api.post(CHAT, request, KEY)
    await db.query(`UPDATE kept_replies SET expires_at = now() - interval '1 s' WHERE user_id = $1`, [tenant.userId])
    await sweepKeptReplies({ db })
    expect(isRepeated(await tenant.api.post(CHAT, request, KEY))).toBe(false)
    expect(await callsOf(tenant)).toBe(2)
  })

  test('is not made again where its reply was too large to keep', async () => {
    const tenant = await newTenant(db)
    const input = [fakePrompt({ id: tenant.keyId }), ...Array<string>(700).fill('x')]
    const request = { model: 'test/embed', input, dimensions: 1_000 }
    const first = await tenant.api.post('/embeddings', request, KEY)
    expect([first.status, first.text.length > 4 * 1024 * 1024]).toEqual([200, true])
    expect(expectError(await tenant.api.post('/embeddings', request, KEY), 409).message).toContain('too large')
    expect(await callsOf(tenant)).toBe(1)
  })

  test.each([
    ['with a space', 'a key', 400],
    ['of 255 characters', 'k'.repeat(255), 200],
    ['of 256 characters', 'k'.repeat(256), 400],
    ['that is empty', '', 400],
  ])('a key %s', async (_what, key, status) => {
    const { api } = await newTenant(db)
    const reply = await api.post(CHAT, chatOf({}), { 'idempotency-key': key })
    expect([reply.status, reply.body.param]).toEqual([status, status === 400 ? 'Idempotency-Key' : undefined])
  })
})

describe('a call that failed', () => {
  test('before anything was charged frees its key', async () => {
    const tenant = await newTenant(db, { creditUsd: '0' })
    const request = chatOf({ id: tenant.keyId, failTimes: 20, status: 500 })
    expect((await tenant.api.post(CHAT, request, KEY)).status).toBe(402)
    await addCredit({ db }, tenant.userId, 1_000_000_000n, 'test')
    await until(async () => (await tenant.api.post(CHAT, request, KEY)).status === 503)
    const before = await callsOf(tenant)
    expect((await tenant.api.post(CHAT, request, KEY)).status).toBe(503)
    expect(await callsOf(tenant)).toBeGreaterThan(before)
    expect((await booksOf(db, tenant)).charges).toEqual([])
  })

  test('in its stream, and was charged, is told again and not made again', async () => {
    const tenant = await newTenant(db)
    const request = chatOf({ id: tenant.keyId, reply: 'one two three four', dieAfterChunks: 2 }, { stream: true })
    const first = await tenant.api.post(CHAT, request, KEY)
    expect(first.text).toMatch(/data: \{"error":.*\n\n$/)
    const before = await callsOf(tenant)
    const second = await tenant.api.post(CHAT, request, KEY)
    expect(isRepeated(second)).toBe(true)
    expect(shorn(second.text)).toBe(shorn(first.text))
    expect(await callsOf(tenant)).toBe(before)
  })
})

describe('a client that leaves', () => {
  /** Leaves once the upstream was asked, or once the first event came. */
  async function leave(tenant: Tenant, request: object): Promise<void> {
    const leaving = new AbortController()
    const headers = { 'x-api-key': tenant.secret, 'content-type': 'application/json', ...KEY }
    const reply = fetch(`${apiUrl}/v1${CHAT}`, {
      method: 'POST',
      headers,
      body: JSON.stringify(request),
      signal: leaving.signal,
    })
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    if ('stream' in request) await (await reply).body?.getReader().read()
    leaving.abort()
    await reply.catch(() => undefined)
  }
  const again = (tenant: Tenant, request: object) =>
    until(async () => {
      const reply = await tenant.api.post(CHAT, request, KEY)
      return reply.headers.get('retry-after') === null && reply
    })

  test.each([
    ['a reply', {}, 'three'],
    ['a stream', { stream: true }, '[DONE]'],
  ])('%s: the call goes on, and the client has it when it comes again', async (_what, more, end) => {
    const tenant = await newTenant(db)
    const request = chatOf({ id: tenant.keyId, reply: 'one two three', delayMs: 300, chunkDelayMs: 100 }, more)
    await leave(tenant, request)
    const reply = await again(tenant, request)
    expect(reply.status).toBe(200)
    expect(reply.text).toContain(end)
    const { calls, charges } = await booksOf(db, tenant)
    expect(calls).toMatchObject([{ status: 'completed', tokens_out: 3 }])
    expect(charges).toHaveLength(1)
    expect(await callsOf(tenant)).toBe(1)
  })

  test('of a call that is to be canceled then: it is, and what came is told again', async () => {
    const tenant = await newTenant(db)
    const more = { stream: true, metadata: { client_disconnect_cancel: true } }
    const request = chatOf({ id: tenant.keyId, reply: 'one two three four five', hangAfterChunks: 2 }, more)
    await leave(tenant, request)
    const reply = await again(tenant, request)
    expect(reply.text).toContain('one')
    expect(reply.text).not.toContain('[DONE]')
    expect(reply.text).toMatch(/data: \{"error":.*client_closed.*\n\n$/)
    expect((await booksOf(db, tenant)).calls).toMatchObject([{ status: 'canceled' }])
    expect(await callsOf(tenant)).toBe(1)
  })
})

test('a call whose process was killed is not made again with its key', async () => {
  const tenant = await newTenant(db)
  const request = chatOf({ id: tenant.keyId, delayMs: 60_000 })
  const own = await spawnApi()
  const lost = apiClient(tenant.secret, own.url)
    .post(CHAT, request, KEY)
    .catch(() => 'lost')
  try {
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
  } finally {
    await own.stop()
  }
  expect(await lost).toBe('lost')
  const { rows } = await db.query<{ process_id: string }>('SELECT process_id FROM kept_replies WHERE user_id = $1', [
    tenant.userId,
  ])
  expect(expectError(await tenant.api.post(CHAT, request, KEY), 409).message).toContain('under way')
  await declareLost(db, rows[0]?.process_id ?? '')
  const reply = await tenant.api.post(CHAT, request, KEY)
  expect(expectError(reply, 409)).toMatchObject({
    error_type: 'process_lost',
    param: 'Idempotency-Key',
    retryable: false,
  })
  expect(await callsOf(tenant)).toBe(1)
})

test("OpenAI's client sends one key for all its tries, and has the reply of the one that was made", async () => {
  class WithKeys extends OpenAI {
    protected override idempotencyHeader = 'Idempotency-Key'
  }
  const tenant = await newTenant(db)
  const keys: (string | null)[] = []
  let isFirst = true
  const client = new WithKeys({
    apiKey: tenant.secret,
    baseURL: `${apiUrl}/v1`,
    maxRetries: 3,
    // The first reply never arrives.
    fetch: async (url, init) => {
      keys.push(new Headers(init?.headers).get('idempotency-key'))
      const reply = await fetch(url, init)
      if (!isFirst) return reply
      isFirst = false
      throw new TypeError('the connection was cut')
    },
  })
  const request = {
    model: 'test/plain',
    messages: [{ role: 'user' as const, content: fakePrompt({ id: tenant.keyId, reply: 'once' }) }],
  }
  const { choices } = await client.chat.completions.create(request)
  expect(choices[0]?.message.content).toBe('once')
  expect(keys.length).toBeGreaterThanOrEqual(2)
  expect(new Set(keys).size).toBe(1)
  expect(keys[0]).toMatch(/^stainless-node-retry-/)
  expect(await callsOf(tenant)).toBe(1)
  expect((await booksOf(db, tenant)).charges).toHaveLength(1)
})
