import { beforeAll, describe, expect, test } from '@jest/globals'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf, contentOf, tryChat, upstreamCallsOf } from '../../support/chats.ts'
import { eventsOf } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { releaseCalls, waitForAbort, waitForCalls } from '../../support/fake-upstream.ts'
import { useOwnApi, type OwnApi } from '../../support/own-api.ts'
import { testStack } from '../../support/stack.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { upstreamUrl } = testStack()
const metadata = (fields: object, more: object = {}) => ({ metadata: fields, ...more })
const lastCall = async (tenant: Tenant) => (await booksOf(db, tenant)).calls.at(-1)

describe('what a call may cost and write', () => {
  test.each<[string, object, object]>([
    ['max_output_tokens', { max_output_tokens: 7 }, { max_completion_tokens: 7 }],
    ['reasoning_effort', { reasoning_effort: 'high' }, { reasoning_effort: 'high' }],
  ])('is bounded by %s', async (_name, fields, sent) => {
    const { reply, calls } = await tryChat(db, metadata(fields))
    expect(reply.status).toBe(200)
    expect(calls[0]?.body).toMatchObject(sent)
    expect(calls[0]?.body).not.toHaveProperty('metadata')
  })

  test('is bounded by max_cost_usd, to the tokens it pays for', async () => {
    const { reply, calls } = await tryChat(db, metadata({ max_cost_usd: 0.0005 }))
    const most = Number(calls[0]?.body['max_completion_tokens'])
    expect(most).toBeGreaterThan(100)
    // Two USD a million tokens of output.
    expect(most * 2e-6).toBeLessThan(0.0005)
    expect(reply.body.ipop.cost_usd).toBeLessThan(0.0005)
  })

  test('is refused where the input alone may cost more', async () => {
    const { reply, calls } = await tryChat(db, metadata({ max_cost_usd: 1e-6 }))
    expectError(reply, 400, { code: 'bad_request', param: 'metadata.max_cost_usd' })
    expect(calls).toEqual([])
  })
})

test('client counters are kept with the call as they were given, and reach no upstream', async () => {
  const fields = { read_file_cache_hits: 3, tool_schema_hash: 'abc', my_own: { deep: [1] }, session_id: 's' }
  const { tenant, calls } = await tryChat(db, metadata(fields))
  expect(await lastCall(tenant)).toMatchObject({ metadata: fields })
  expect(JSON.stringify(calls[0]?.body)).not.toContain('my_own')
})

describe('bad metadata is a 400 that names it', () => {
  test.each<[object, string]>([
    [{ hedge_after_ms: -1 }, 'metadata.hedge_after_ms'],
    [{ hedge_after_ms: 'soon' }, 'metadata.hedge_after_ms'],
    [{ max_cost_usd: 0 }, 'metadata.max_cost_usd'],
    [{ max_output_tokens: 0 }, 'metadata.max_output_tokens'],
    [{ cache_mode: 'always' }, 'metadata.cache_mode'],
    [{ latency_queue_budget_ms: 1.5 }, 'metadata.latency_queue_budget_ms'],
    [{ session_id: 'x'.repeat(2_000) }, 'metadata.session_id'],
    [{ anything: 'x'.repeat(20_000) }, 'metadata'],
    [{ anything: 'a\0b' }, 'metadata'],
    [{ 'a\0b': 1 }, 'metadata'],
    [{ anything: '\uD800' }, 'metadata'],
  ])('%j', async (fields, param) => {
    const { reply, calls } = await tryChat(db, metadata(fields))
    expectError(reply, 400, { code: 'bad_request', param })
    expect(calls).toEqual([])
  })

  test('but null stands for absent', async () => {
    const { reply } = await tryChat(db, metadata({ hedge_after_ms: null, cache_mode: null, max_cost_usd: null }))
    expect(reply.status).toBe(200)
  })
})

describe('a prompt cache key', () => {
  test.each<[string, object, string | undefined]>([
    ['is passed to an upstream that caches prompts', { prompt_cache_key: 'k' }, 'k'],
    ['is not where caching is off', { prompt_cache_key: 'k', prompt_cache_policy: 'off' }, undefined],
  ])('%s', async (_what, fields, sent) => {
    const { calls } = await tryChat(db, metadata(fields, { model: 'test/external' }))
    expect(calls[0]?.body['prompt_cache_key']).toBe(sent)
  })

  test('is not passed to one that does not say so', async () => {
    const { calls } = await tryChat(db, metadata({ prompt_cache_key: 'k' }))
    expect(calls[0]?.body).not.toHaveProperty('prompt_cache_key')
  })
})

describe('content that may not leave', () => {
  test.each([{ contains_pii: true }, { sensitive: true }, { fallback_profile: 'privacy_first' }])(
    '%j is a 409 where only external capacity serves the model',
    async fields => {
      const { reply, calls } = await tryChat(db, metadata(fields, { model: 'test/external' }))
      expectError(reply, 409, { code: 'capacity_unavailable', param: 'model' })
      expect(calls).toEqual([])
      const inside = await tryChat(db, metadata(fields))
      expect(inside.reply.status).toBe(200)
    },
  )

  test('disable_external_fallback is for keys of smoke tests', async () => {
    const fields = metadata({ disable_external_fallback: true })
    expectError((await tryChat(db, fields)).reply, 403, {
      code: 'policy_violation',
      param: 'metadata.disable_external_fallback',
    })
    expect((await tryChat(db, fields, {}, { smokeTest: true })).reply.status).toBe(200)
  })
})

describe('cache_mode aggressive', () => {
  const ask = (tenant: Tenant, fields: object, more: object = {}) =>
    tenant.api.post(CHAT, chatOf({ id: tenant.userId, reply: 'cached words' }, metadata(fields, more)))
  const callsOf = (tenant: Tenant) => upstreamCallsOf({ ...tenant, keyId: tenant.userId })

  test('gives the same request of the same project the same reply, free', async () => {
    const tenant = await newTenant(db, { inProject: true })
    const first = await ask(tenant, { cache_mode: 'aggressive' })
    const second = await ask(tenant, { cache_mode: 'aggressive', read_file_cache_hits: 1 })
    expect(first.body.ipop).toMatchObject({ cache_hit: false })
    expect(second.body.ipop).toMatchObject({ cache_hit: true, cost_usd: 0, route_class: 'cache' })
    expect(second.body.choices).toEqual(first.body.choices)
    expect(second.body.usage).toEqual(first.body.usage)
    expect(await callsOf(tenant)).toHaveLength(1)
    const { calls, charges } = await booksOf(db, tenant)
    expect(calls.at(-1)).toMatchObject({ cache_hit: true, cost_nanos: 0n, upstream: null })
    expect(charges).toHaveLength(1)
  })

  test('serves streams from replies, and replies from streams', async () => {
    const tenant = await newTenant(db)
    const streamed = await tenant.api.open(
      CHAT,
      chatOf({ id: tenant.userId, reply: 'cached words' }, metadata({ cache_mode: 'aggressive' }, { stream: true })),
    )
    await eventsOf(streamed)
    const plain = await ask(tenant, { cache_mode: 'aggressive' })
    expect(plain.body.ipop.cache_hit).toBe(true)
    expect(contentOf(plain.body)).toBe('cached words')
    const again = await tenant.api.open(
      CHAT,
      chatOf(
        { id: tenant.userId, reply: 'cached words' },
        metadata({ cache_mode: 'aggressive' }, { stream: true, stream_options: { include_usage: true } }),
      ),
    )
    const events = await eventsOf(again)
    expect(JSON.parse(events[0] ?? '').choices[0].delta.content).toBe('cached words')
    expect(JSON.parse(events.at(-2) ?? '').ipop).toMatchObject({ cache_hit: true, cost_usd: 0 })
    expect(events.at(-1)).toBe('[DONE]')
    expect(await callsOf(tenant)).toHaveLength(1)
  })

  test.each<[string, object, object]>([
    ['another request', { cache_mode: 'aggressive' }, { temperature: 0.5 }],
    ['no cache mode', {}, {}],
    ['a bypass', { cache_mode: 'bypass' }, {}],
    ['what is private', { cache_mode: 'aggressive', contains_pii: true }, {}],
  ])('is not for %s', async (_what, fields, more) => {
    const tenant = await newTenant(db)
    await ask(tenant, { cache_mode: 'aggressive' })
    expect((await ask(tenant, fields, more)).body.ipop.cache_hit).toBe(false)
    expect(await callsOf(tenant)).toHaveLength(2)
  })

  test('is not shared with another project or account', async () => {
    const tenant = await newTenant(db, { inProject: true })
    await ask(tenant, { cache_mode: 'aggressive' })
    const elsewhere = await newKey(db, tenant.userId)
    const reply = await ask({ ...elsewhere, userId: tenant.userId }, { cache_mode: 'aggressive' })
    expect(reply.body.ipop.cache_hit).toBe(false)
  })

  test('keeps no reply that was cut off', async () => {
    const tenant = await newTenant(db)
    const cut = () =>
      tenant.api.post(
        CHAT,
        chatOf({ id: tenant.userId, finishReason: 'length' }, metadata({ cache_mode: 'aggressive' })),
      )
    await cut()
    expect((await cut()).body.ipop.cache_hit).toBe(false)
  })
})

describe('routes', () => {
  let own: OwnApi
  const use = useOwnApi()
  beforeAll(async () => {
    const names = ['hedged', 'sticky', 'told']
    own = await use({
      upstreams: {},
      models: Object.fromEntries(names.map(name => [name, ['fake-a', 'fake-b']])),
      env: {},
    })
  })
  const ask = (tenant: Tenant, model: string, fields: object, script: object = {}) =>
    tenant.api.post(CHAT, chatOf({ ...script, id: tenant.keyId }, metadata(fields, { model })))
  const modelsCalled = async (tenant: Tenant) => (await upstreamCallsOf(tenant)).map(call => call.model)

  test('are hedged: the second is asked where the first is slow, and the loser is aborted and not billed', async () => {
    const tenant = await newTenant(db, { apiUrl: own.url })
    const slow = { delayMs: 60_000, delayTimes: 1 }
    const reply = await ask(tenant, 'hedged', { hedge_after_ms: 50 }, slow)
    expect(reply.status).toBe(200)
    expect(await modelsCalled(tenant)).toEqual(['hedged@fake-a', 'hedged@fake-b'])
    const [loser] = await waitForAbort(upstreamUrl, tenant.keyId)
    expect(loser?.model).toBe('hedged@fake-a')
    const { calls, charges } = await booksOf(db, tenant)
    expect(calls).toMatchObject([{ upstream: 'fake-b', status: 'completed' }])
    expect(charges).toHaveLength(1)
  })

  test('of a session stay where it was answered', async () => {
    const tenant = await newTenant(db, { apiUrl: own.url })
    await ask(tenant, 'sticky', { session_id: 's' }, { failTimes: 1 })
    await ask(tenant, 'sticky', { session_id: 's' })
    await ask(tenant, 'sticky', { session_id: 'other' })
    expect(await modelsCalled(tenant)).toEqual(['sticky@fake-a', 'sticky@fake-b', 'sticky@fake-b', 'sticky@fake-a'])
  })

  test('are told of where that is asked', async () => {
    const tenant = await newTenant(db, { apiUrl: own.url })
    const plain = await ask(tenant, 'told', {})
    expect(plain.body.ipop).not.toHaveProperty('primary_route_model')
    const told = await ask(tenant, 'told', { include_route_metadata: true })
    expect(told.body.ipop).toMatchObject({ primary_route_attempted: true, primary_route_model: 'told@fake-a' })
    expect(told.body.ipop.estimated_cost_usd).toBeGreaterThanOrEqual(told.body.ipop.cost_usd)
  })
})

describe('client_disconnect_cancel: false', () => {
  test.each([true, false])('lets the call end without its client, with stream: %j', async stream => {
    const tenant = await newTenant(db)
    const client = new AbortController()
    const script = { id: tenant.keyId, reply: 'one two three', held: true }
    const body = chatOf(script, metadata({ client_disconnect_cancel: false }, { stream }))
    const left = tenant.api.open(CHAT, body, client.signal).catch(() => 'left')
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    client.abort()
    expect(await left).toBe('left')
    await releaseCalls(upstreamUrl, tenant.keyId)
    await until(async () => (await booksOf(db, tenant)).calls.length > 0)
    expect(await lastCall(tenant)).toMatchObject({ status: 'completed', tokens_out: 3, usage_source: 'upstream' })
    expect((await upstreamCallsOf(tenant)).map(call => call.aborted)).toEqual([false])
  })
})

test('early_answer_policy holds the first sentence until it is whole', async () => {
  const tenant = await newTenant(db)
  const chunks = ['One ', 'two. ', 'Three.']
  const body = chatOf(
    { id: tenant.keyId, chunks, heldAfterChunks: 2 },
    metadata({ early_answer_policy: 'stream_first_sentence' }, { stream: true }),
  )
  const reply = await tenant.api.open(CHAT, body)
  const [first] = await (async () => {
    for await (const part of reply.body ?? []) return [Buffer.from(part).toString()]
    return ['']
  })()
  expect(first).toContain('One ')
  expect(first).toContain('two. ')
  expect(first).not.toContain('Three')
  await releaseCalls(upstreamUrl, tenant.keyId)
})
