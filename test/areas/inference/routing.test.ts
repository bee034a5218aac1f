import { beforeAll, describe, expect, test } from '@jest/globals'
import { booksOf } from '../../support/books.ts'
import { BREAKAGES, brokenUpstreams } from '../../support/broken-upstream.ts'
import { CHAT, chatOf, contentOf, upstreamCallsOf } from '../../support/chats.ts'
import { eventsOf, type ApiReply } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { waitForAbort, type FakeScript } from '../../support/fake-upstream.ts'
import { useOwnApi, type OwnApi } from '../../support/own-api.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const REPLY_TIMEOUT_SECONDS = 1
const WORDS = 'words of the upstream'
const STATUSES = [401, 402, 403, 404, 408, 429, 500, 502, 503]

// An API of its own, and a model for each test: what one breaks, no other one uses.
let own: OwnApi
const use = useOwnApi()
beforeAll(async () => {
  const upstreams = await brokenUpstreams()
  const two = ['all-limited', 'half-limited', 'degraded', ...STATUSES.flatMap(status => [`${status}`, `${status}-all`])]
  own = await use({
    upstreams,
    models: {
      ...Object.fromEntries(two.map(name => [name, ['fake-a', 'fake-b']])),
      ...Object.fromEntries(['breaking', 'hanging', 'rejecting', 'leaving'].map(name => [name, ['fake-a']])),
      ...Object.fromEntries(BREAKAGES.map(kind => [kind, [kind, 'fake-b']])),
    },
    env: { UPSTREAM_REPLY_TIMEOUT_SECONDS: String(REPLY_TIMEOUT_SECONDS), UPSTREAM_IDLE_TIMEOUT_SECONDS: '2' },
  })
})

const tenantHere = () => newTenant(db, { apiUrl: own.url })
const ask = (tenant: Tenant, model: string, script: FakeScript = {}) =>
  tenant.api.post(CHAT, chatOf({ reply: 'hello', errorMessage: WORDS, ...script, id: tenant.keyId }, { model }))
const modelsCalled = async (tenant: Tenant) => (await upstreamCallsOf(tenant)).map(call => call.model)
const lastCall = async (tenant: Tenant) => (await booksOf(db, tenant)).calls.at(-1)

/** The reply says nothing of what the upstream said. */
function expectOwnError(reply: ApiReply, status: number, code: string): void {
  expectError(reply, status, { code })
  expect(reply.text).not.toContain(WORDS)
  expect(reply.text).not.toContain('fake')
}

describe('the next route is taken, and told of,', () => {
  test.each(STATUSES)('after a %i', async status => {
    const tenant = await tenantHere()
    const reply = await ask(tenant, `${status}`, { failTimes: 1, status })
    expect(reply.status).toBe(200)
    expect(reply.body.ipop).toMatchObject({ fallback_used: true, fallback_count: 1, route_class: 'ipop_network' })
    expect(reply.body.ipop).not.toHaveProperty('fallback_reason')
    expect(reply.body.model).toBe(`${status}`)
    expect(await modelsCalled(tenant)).toEqual([`${status}@fake-a`, `${status}@fake-b`])
    expect(await lastCall(tenant)).toMatchObject({
      status: 'completed',
      fallback_count: 1,
      upstream: 'fake-b',
      upstream_model: `${status}@fake-b`,
    })
  })

  test.each(BREAKAGES)('after %s instead of a first byte, plain and streamed', async kind => {
    const tenant = await tenantHere()
    const reply = await ask(tenant, kind)
    expect({ status: reply.status, text: contentOf(reply.body) }).toEqual({ status: 200, text: 'hello' })
    expect(reply.body.ipop).toMatchObject({ fallback_used: true, fallback_count: 1 })
    const body = { model: kind, stream: true, stream_options: { include_usage: true } }
    const events = await eventsOf(await tenant.api.open(CHAT, chatOf({ reply: 'hello' }, body)))
    expect(events.at(-1)).toBe('[DONE]')
    expect(JSON.parse(events[0] ?? '').choices[0].delta.content).toBe('hello')
    expect(JSON.parse(events.at(-2) ?? '').ipop).toMatchObject({ fallback_used: true, fallback_count: 1 })
    expect((await booksOf(db, tenant)).calls.map(call => call.upstream)).toEqual(['fake-b', 'fake-b'])
  })
})

describe('where no route is left', () => {
  test.each(STATUSES.filter(status => status !== 429))('after a %i the reply is a 503', async status => {
    const tenant = await tenantHere()
    const reply = await ask(tenant, `${status}-all`, { status, retryAfter: 17 })
    expectOwnError(reply, 503, 'service_unavailable')
    expect(Number(reply.headers.get('retry-after'))).toBe(status === 503 ? 17 : 5)
    expect(await modelsCalled(tenant)).toHaveLength(2)
    const books = await booksOf(db, tenant)
    expect(books.calls).toMatchObject([{ status: 'failed', cost_nanos: 0n, usage_source: 'none', upstream: null }])
    expect(books.charges).toEqual([])
  })

  test('the operator is told of a key or credit that the upstream refuses, without its words', async () => {
    const tenant = await tenantHere()
    const reply = await ask(tenant, '402-all', { status: 402 })
    const requestId = reply.headers.get('x-request-id') ?? ''
    const lines = (await own.logsAfter(reply)).split('\n').filter(line => line.includes(requestId))
    const alerts = lines.map(line => JSON.parse(line)).filter(line => line.level >= 50)
    expect(alerts).toMatchObject([
      { upstream: 'fake-a', model: '402-all@fake-a', kind: 'refused', status: 402 },
      { upstream: 'fake-b', model: '402-all@fake-b', kind: 'refused', status: 402 },
    ])
    expect(lines.join()).not.toContain(WORDS)
  })

  test('and all are at their limit, it is a 429 with the time to wait', async () => {
    const tenant = await tenantHere()
    for (let time = 0; time < 7; time += 1) {
      const reply = await ask(tenant, 'all-limited', { status: 429, retryAfter: 17 })
      expectOwnError(reply, 429, 'rate_limit_exceeded')
      expect(reply.headers.get('retry-after')).toBe('17')
    }
    // Load says nothing of a route's health: every one was asked.
    expect(await modelsCalled(tenant)).toHaveLength(14)
    expect((await tenant.api.get('/models/all-limited')).body.status).toBe('available')
  })

  test('a request that the model rejects is a 400 in our words, at the first route', async () => {
    const tenant = await tenantHere()
    for (let time = 0; time < 6; time += 1) {
      const reply = await ask(tenant, 'rejecting', { status: 422 })
      expect(expectError(reply, 400, { code: 'bad_request', type: 'rejected_by_model' }).message).toBe(
        'The model does not accept this request.',
      )
    }
    expect((await tenant.api.get('/models/rejecting')).body.status).toBe('available')
  })

  test('a hanging upstream times out, and its call is ended', async () => {
    const tenant = await tenantHere()
    expectOwnError(await ask(tenant, 'hanging', { hang: true }), 503, 'service_unavailable')
    await waitForAbort(testStack().upstreamUrl, tenant.keyId)
    expect(await lastCall(tenant)).toMatchObject({ status: 'failed', error_code: 'service_unavailable' })
  })

  test('a reply that falls silent half-way times out', async () => {
    const tenant = await tenantHere()
    expectOwnError(await ask(tenant, 'hanging', { hangAfterChunks: 1 }), 503, 'service_unavailable')
    await waitForAbort(testStack().upstreamUrl, tenant.keyId)
  })
})

describe('the circuit breaker', () => {
  const statusOf = async (model: string, query = '') => (await own.client.get(`/models/${model}${query}`)).body.status
  const failFiveTimes = async (tenant: Tenant, model: string, failTimes?: number) => {
    for (let time = 0; time < 5; time += 1) await ask(tenant, model, { status: 500, ...(failTimes && { failTimes }) })
  }

  test('opens after five failures in a row, is shown, and lets one call try after a while', async () => {
    const tenant = await tenantHere()
    await failFiveTimes(tenant, 'breaking')
    expect(await modelsCalled(tenant)).toHaveLength(5)
    expectError(await own.client.get('/models/breaking'), 409, {
      code: 'model_unavailable',
      type: 'temporarily_unavailable',
    })
    expect(await statusOf('breaking', '?include_unavailable=true')).toBe('temporarily_unavailable')
    const listed = (await own.client.get('/models')).body.data as { id: string }[]
    expect(listed.map(model => model.id)).not.toContain('breaking')
    const refused = await ask(tenant, 'breaking')
    expectOwnError(refused, 503, 'service_unavailable')
    expect(await modelsCalled(tenant)).toHaveLength(5)
    // It is offered again without a call, or nobody would call it.
    await until(async () => (await statusOf('breaking')) === 'degraded')
    expect((await ask(tenant, 'breaking')).status).toBe(200)
    expect(await statusOf('breaking')).toBe('available')
  })

  test('counts failures in a row only', async () => {
    const tenant = await tenantHere()
    for (const status of [500, 500, 500, 500, undefined, 500, 500, 500, 500]) {
      await ask(tenant, 'leaving', status === undefined ? {} : { status })
    }
    expect(await modelsCalled(tenant)).toHaveLength(9)
    expect(await statusOf('leaving')).toBe('available')
  })

  test('of one route of two leaves the model usable, by the other', async () => {
    const tenants = await Promise.all(Array.from({ length: 5 }, tenantHere))
    for (const tenant of tenants) await ask(tenant, 'degraded', { status: 500, failTimes: 1 })
    expect(await statusOf('degraded')).toBe('degraded')
    const tenant = await tenantHere()
    expect((await ask(tenant, 'degraded')).body.ipop).toMatchObject({ fallback_used: true, fallback_count: 1 })
    expect(await modelsCalled(tenant)).toEqual(['degraded@fake-b'])
  })
})
