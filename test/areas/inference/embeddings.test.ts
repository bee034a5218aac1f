import { describe, expect, test } from '@jest/globals'
import OpenAI from 'openai'
import { booksOf } from '../../support/books.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakeCalls, fakePrompt, waitForAbort, waitForCalls, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { apiUrl, upstreamUrl } = testStack()
const EMBEDDINGS = '/embeddings'
const embed = ({ api, keyId }: Tenant, body: object = {}, script: FakeScript = {}) =>
  api.post(EMBEDDINGS, { model: 'test/embed', input: fakePrompt({ id: keyId, ...script }), ...body })
const inputsAsked = async (tenant: Tenant) => (await fakeCalls(upstreamUrl, tenant.keyId)).map(call => call.body.input)

describe('an embedding', () => {
  test('is the closed reply, recorded and billed', async () => {
    const tenant = await newTenant(db)
    const { status, body } = await embed(tenant, { dimensions: 3 }, { usage: { prompt_tokens: 50_000 } })
    expect(status).toBe(200)
    expect(body).toEqual({
      id: expect.stringMatching(/^embd-/),
      object: 'list',
      created: expect.any(Number),
      model: 'test/embed',
      data: [
        { object: 'embedding', index: 0, embedding: [expect.any(Number), expect.any(Number), expect.any(Number)] },
      ],
      usage: { prompt_tokens: 50_000, completion_tokens: 0, total_tokens: 50_000 },
      ipop: expect.objectContaining({ cost_usd: 0.001, cache_hit: false, fallback_used: false }),
    })
    const { calls, charges } = await booksOf(db, tenant)
    expect(calls).toMatchObject([{ surface: 'embeddings', status: 'completed', tokens_in: 50_000, tokens_out: 0 }])
    expect(charges).toEqual([{ reference: body.ipop.request_id, amount_nanos: -1_000_000n }])
  })

  test.each<[string, unknown, number]>([
    ['a text', 'hello', 1],
    ['texts', ['a', 'bc', 'def'], 3],
    ['tokens', [1, 2, 3], 1],
    ['lists of tokens', [[1], [2, 3]], 2],
  ])('takes %s', async (_what, input, count) => {
    const { body } = await embed(await newTenant(db), { input })
    expect(body.data.map((item: { index: number }) => item.index)).toEqual(Array.from({ length: count }, (_, i) => i))
  })

  test('is the same as numbers and as base64', async () => {
    const tenant = await newTenant(db)
    const numbers = (await embed(tenant, { input: ['a', 'bc'] })).body.data
    const base64 = (await embed(tenant, { input: ['a', 'bc'], encoding_format: 'base64' })).body.data
    const floats = base64.map(({ embedding }: { embedding: string }) => {
      const bytes = Buffer.from(embedding, 'base64')
      return Array.from({ length: bytes.length / 4 }, (_, index) => bytes.readFloatLE(index * 4))
    })
    expect(floats).toEqual(numbers.map(({ embedding }: { embedding: number[] }) => embedding))
  })

  test('of many inputs is asked for in parts, and is one call', async () => {
    const tenant = await newTenant(db)
    const input = [fakePrompt({ id: tenant.keyId }), ...Array.from({ length: 9 }, (_, index) => 'x'.repeat(index + 1))]
    const script = input.map((text, index) => (index % 3 === 0 ? fakePrompt({ id: tenant.keyId, reply: text }) : text))
    const { body } = await embed(tenant, { model: 'test/embed-in-parts', input: script })
    expect(body.data).toHaveLength(10)
    const asked = await inputsAsked(tenant)
    const whole = (await embed(await newTenant(db), { input: script })).body
    expect(body.data).toEqual(whole.data)
    expect(body.usage).toEqual(whole.usage)
    expect(asked.map(part => (part as string[]).length).toSorted((a, b) => a - b)).toEqual([1, 3, 3, 3])
    const { calls, charges } = await booksOf(db, tenant)
    expect([calls.length, charges.length]).toEqual([1, 1])
  })

  test('is counted where the upstream gives no usage', async () => {
    const tenant = await newTenant(db)
    await embed(tenant, { input: [[1, 2, 3], [4]] })
    const { body } = await embed(tenant, {}, { noUsage: true })
    expect(body.usage.prompt_tokens).toBeGreaterThan(5)
    expect((await booksOf(db, tenant)).calls.at(-1)).toMatchObject({ usage_source: 'counted' })
  })

  test.each<[string, object]>([
    ['a vector is missing', { data: [] }],
    ['a vector is none', { data: [{ index: 0, embedding: ['a'] }] }],
  ])('is a 503 where %s, and costs nothing', async (_what, extra) => {
    const tenant = await newTenant(db)
    expectError(await embed(tenant, {}, { extra: { ...extra } }), 503, { code: 'service_unavailable' })
    expect((await booksOf(db, tenant)).charges).toEqual([])
  })

  test('ends with its client', async () => {
    const tenant = await newTenant(db)
    const client = new AbortController()
    const body = { model: 'test/embed', input: fakePrompt({ id: tenant.keyId, hang: true }) }
    const left = tenant.api.open(EMBEDDINGS, body, client.signal).catch(() => 'left')
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    client.abort()
    await waitForAbort(upstreamUrl, tenant.keyId)
    expect(await left).toBe('left')
    await until(async () => (await booksOf(db, tenant)).calls.length > 0)
    expect((await booksOf(db, tenant)).calls[0]).toMatchObject({ status: 'canceled', cost_nanos: 0n })
  })
})

describe('what is refused', () => {
  test('a model without the capability', async () => {
    for (const model of ['test/plain', 'openai/gpt-5.4']) {
      expectError(await embed(await newTenant(db), { model }), 400, {
        type: 'model_does_not_support_embeddings',
        param: 'model',
      })
    }
  })

  test('a model that the key may not use, an unknown one, and no credit', async () => {
    expectError(await embed(await newTenant(db, { allowedModels: ['test/plain'] })), 403, { code: 'model_not_allowed' })
    expectError(await embed(await newTenant(db), { model: 'nothing' }), 404, { type: 'model_not_found' })
    expectError(await embed(await newTenant(db, { creditUsd: '0' })), 402, { code: 'payment_required' })
  })
})

test('the official client, which asks for base64 and gives numbers', async () => {
  const { secret } = await newTenant(db)
  const client = new OpenAI({ apiKey: secret, baseURL: `${apiUrl}/v1`, maxRetries: 0 })
  const { data, usage } = await client.embeddings.create({ model: 'test/embed', input: ['a b', 'c'], dimensions: 4 })
  expect(data.map(({ embedding }) => embedding.length)).toEqual([4, 4])
  expect(data[0]?.embedding[0]).toBeCloseTo(Math.sin(3), 5)
  expect(usage.prompt_tokens).toBe(3)
})
