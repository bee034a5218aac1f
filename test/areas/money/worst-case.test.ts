import { describe, expect, test } from '@jest/globals'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf, upstreamCallsOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { prefixedId } from '../../../domain/core/ids.ts'
import { expectError } from '../../support/errors.ts'
import { waitForCalls } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { allTurnEvents, startTurn } from '../../support/turns.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'

const db = testDatabase()

/** A model of the launch list whose calls that name no limit were worth more than a small account has. */
const DEAR = 'openai/gpt-5.5'
const long = 'x'.repeat(350_000)

const sentLimits = async (tenant: Tenant) =>
  (await upstreamCallsOf(tenant)).map(({ body }) => [body['max_tokens'], body['max_completion_tokens']])

describe('the limit that is reserved', () => {
  test.each<[string, object, number]>([
    ['where none is named', {}, 1_000],
    ['where the older name is used', { max_tokens: 5 }, 5],
    ['where both are, the smaller one', { max_tokens: 7, max_completion_tokens: 6 }, 6],
    ['where the metadata has one', { metadata: { max_output_tokens: 4 } }, 4],
  ])('goes upstream under both names: %s', async (_what, body, limit) => {
    const tenant = await newTenant(db)
    const reply = await tenant.api.post(CHAT, chatOf({ id: tenant.keyId }, body))
    expect(reply.status).toBe(200)
    expect(await sentLimits(tenant)).toEqual([[limit, limit]])
  })

  test.each<[string, unknown[]]>([
    ['test/old-limit', [5, undefined]],
    ['test/new-limit', [undefined, 5]],
  ])('goes upstream under the one name that the catalog says: %s', async (model, limits) => {
    const tenant = await newTenant(db)
    expect((await tenant.api.post(CHAT, chatOf({ id: tenant.keyId }, { model, max_tokens: 5 }))).status).toBe(200)
    expect(await sentLimits(tenant)).toEqual([limits])
  })

  test('goes upstream of a turn as it was held for, whatever its catalog says when it runs', async () => {
    const tenant = await newTenant(db)
    const script = { id: tenant.keyId, reply: 'one two', delayMs: 1_000, dieAfterChunks: 1, dieTimes: 1 }
    const requestId = await startTurn(tenant.api, script, { max_tokens: 9 })
    await waitForCalls(testStack().upstreamUrl, tenant.keyId, 1)
    // As if another catalog had been there when it was made.
    const { rowCount } = await db.query('UPDATE agent_turns SET output_limit = 7 WHERE id = $1 AND output_limit = 9', [
      prefixedId('turn', requestId),
    ])
    expect(rowCount).toBe(1)
    expect((await allTurnEvents(tenant.secret, requestId)).at(-1)?.type).toBe('turn.completed')
    expect(await sentLimits(tenant)).toEqual([
      [9, 9],
      [7, 7],
    ])
  })

  test.each([
    { max_new_tokens: 1e6 },
    { extra_body: { max_tokens: 1e6 } },
    { best_of: 20 },
    { prediction: { content: 'x' } },
  ])('cannot be passed by: %j', async field => {
    const tenant = await newTenant(db)
    expect((await tenant.api.post(CHAT, chatOf({ id: tenant.keyId }, field))).status).toBe(200)
    const [call] = await upstreamCallsOf(tenant)
    expect(Object.keys(call?.body ?? {})).not.toContain(Object.keys(field)[0])
  })
})

describe('an account', () => {
  test('that cannot pay the output it did not bound is refused, and spends nothing', async () => {
    const tenant = await newTenant(db, { creditUsd: '0.45' })
    const { message } = expectError(await tenant.api.post(CHAT, chatOf({ id: tenant.keyId }, { model: DEAR })), 402)
    expect(message).toContain('max_completion_tokens')
    expect(await upstreamCallsOf(tenant)).toEqual([])
  })

  /** An answer that uses the limit that was sent up, and has more input than the request's own words. */
  const AT_ITS_LIMIT = { prompt_tokens: 400, completion_tokens: 16_384, total_tokens: 16_784 }
  const COST = 400n * 5_000n + 16_384n * 30_000n

  test('that can pay an answer at the limit which nobody stated is not below zero after it', async () => {
    const tenant = await newTenant(db, { creditUsd: '0.55' })
    const chat = chatOf({ id: tenant.keyId, usage: AT_ITS_LIMIT }, { model: DEAR })
    expect((await tenant.api.post(CHAT, chat)).status).toBe(200)
    expect(await sentLimits(tenant)).toEqual([[16_384, 16_384]])
    expect((await booksOf(db, tenant)).balanceNanos).toBe(550_000_000n - COST)
    expectError(await tenant.api.post(CHAT, chat), 402)
  })

  test('that asks twenty times at once pays ten answers, and is not below zero', async () => {
    const tenant = await newTenant(db, { creditUsd: '5.2' })
    const chat = chatOf({ id: tenant.keyId, usage: AT_ITS_LIMIT, delayMs: 3_000 }, { model: DEAR })
    const replies = await Promise.all(Array.from({ length: 20 }, () => tenant.api.post(CHAT, chat)))
    const statuses = replies.map(({ status }) => status).toSorted((a, b) => a - b)
    expect(statuses).toEqual([...Array(10).fill(200), ...Array(10).fill(402)])
    const { balanceNanos, entriesNanos, charges } = await booksOf(db, tenant)
    expect(charges).toHaveLength(10)
    expect(balanceNanos).toBe(5_200_000_000n - 10n * COST)
    expect(balanceNanos).toBe(entriesNanos)
  })

  test.each<[string, object]>([
    ['a schema of a tool', { tools: [{ type: 'function', function: { name: 'a', parameters: { image_url: long } } }] }],
    ['a field of a tool', { tools: [{ type: 'function', image_url: long, function: { name: 'a', parameters: {} } }] }],
    [
      'a schema of the reply',
      { response_format: { type: 'json_schema', json_schema: { name: 'a', schema: { image_url: long } } } },
    ],
  ])('pays for text under the name of a picture: %s', async (_what, body) => {
    const tenant = await newTenant(db, { creditUsd: '0.2' })
    const chat = chatOf({ id: tenant.keyId }, { model: DEAR, max_tokens: 1, ...body })
    expectError(await tenant.api.post(CHAT, chat), 402)
    expect(await upstreamCallsOf(tenant)).toEqual([])
  })

  test('with just the worst case pays an answer at its limits, and is not below zero', async () => {
    const tenant = await newTenant(db, { creditUsd: '0.2' })
    const usage = { prompt_tokens: 200, completion_tokens: 100 }
    const script = { id: tenant.keyId, usage: { ...usage, total_tokens: 300 } }
    const limit = { model: 'test/dear', max_tokens: 100 }
    const many = await Promise.all(Array.from({ length: 20 }, () => tenant.api.post(CHAT, chatOf(script, limit))))
    expect(new Set(many.map(({ status }) => status))).toEqual(new Set([402]))
    const affordable = { model: 'test/plain', max_tokens: 1_000 }
    const replies = await Promise.all(
      Array.from({ length: 20 }, () => tenant.api.post(CHAT, chatOf(script, affordable))),
    )
    expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(200))
    expect((await booksOf(db, tenant)).balanceNanos).toBe(200_000_000n - 20n * 400_000n)
  })

  test('that can pay what is counted, though not a token a byte, is served', async () => {
    // About 2,000 bytes and 400 tokens of text at 1,000 nano-USD; an output token costs 2,000.
    const text = 'The quick brown fox jumps over the lazy dog. '.repeat(45)
    const chat = (tenant: Tenant) => {
      const { messages, ...rest } = chatOf({ id: tenant.keyId }, { max_tokens: 1 })
      return { ...rest, messages: [{ role: 'system', content: text }, ...messages] }
    }
    const poor = await newTenant(db, { creditUsd: '0.0003' })
    expectError(await poor.api.post(CHAT, chat(poor)), 402)
    const tenant = await newTenant(db, { creditUsd: '0.002' })
    expect((await tenant.api.post(CHAT, chat(tenant))).status).toBe(200)
    expectError(await poor.api.post('/agent-turns', chat(poor)), 402)
    const patient = await newTenant(db, { creditUsd: '0.002' })
    expect((await patient.api.post('/agent-turns', chat(patient))).status).toBe(200)
  })
})
