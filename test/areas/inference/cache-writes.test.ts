import { describe, expect, test } from '@jest/globals'
import { chatRow, startBatch, untilEnded } from '../../support/batches.ts'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf, worstCaseOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt } from '../../support/fake-upstream.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { allTurnEvents, startTurn } from '../../support/turns.ts'

const db = testDatabase()
const model = 'test/caching'
const usage = {
  prompt_tokens: 100,
  completion_tokens: 10,
  total_tokens: 110,
  prompt_tokens_details: { cached_tokens: 20, cache_creation_input_tokens: 60 },
}
const DETAILS = { cached_tokens: 20, cache_creation_input_tokens: 60 }
const hint = (ttl?: string) => ({ cache_control: { type: 'ephemeral', ...(ttl && { ttl }) } })

/** 20 tokens of input, 20 that were cached, 10 of output; and 60 that were written to the cache. */
const costOf = (writeRate: number) => BigInt(20 * 1_000 + 20 * 100 + 10 * 2_000 + 60 * writeRate)
const recorded = async (tenant: Tenant) => (await booksOf(db, tenant)).calls

describe('what is written to a cache', () => {
  test.each<[string, object, number]>([
    ['for minutes', hint(), 1_250],
    ['for an hour', hint('1h'), 2_000],
    ['though nobody asked for it, which the catalog does not know of', {}, 1_000],
  ])('is paid at its own price: %s', async (_what, fields, writeRate) => {
    const tenant = await newTenant(db)
    const { body, status } = await tenant.api.post(CHAT, chatOf({ usage }, { model, ...fields }))
    expect(status).toBe(200)
    expect(body.usage.prompt_tokens_details).toEqual(DETAILS)
    expect(body.ipop.cost_usd).toBe(Number(costOf(writeRate)) / 1e9)
    expect(await recorded(tenant)).toMatchObject([
      { cost_nanos: costOf(writeRate), tokens_in: 100, cached_tokens: 20, cache_write_tokens: 60 },
    ])
    const { charges, balanceNanos, entriesNanos } = await booksOf(db, tenant)
    expect(charges).toMatchObject([{ amount_nanos: -costOf(writeRate) }])
    expect(balanceNanos).toBe(entriesNanos)
  })

  test('is asked for by a part of a message too, and is paid of a stream', async () => {
    const tenant = await newTenant(db)
    const { messages, ...rest } = chatOf({ usage }, { model, stream: true })
    const system = { role: 'system', content: [{ type: 'text', text: 'a', ...hint('1h') }] }
    await tenant.api.post(CHAT, { ...rest, messages: [system, ...messages] })
    expect(await recorded(tenant)).toMatchObject([{ cost_nanos: costOf(2_000), streamed: true }])
  })

  test('is paid of turns, of responses and of rows of batches', async () => {
    const tenant = await newTenant(db)
    await allTurnEvents(tenant.secret, await startTurn(tenant.api, { usage }, { model, ...hint() }))
    const batch = await startBatch(tenant.api, [chatRow('a', fakePrompt({ usage }), { model, ...hint() })])
    await untilEnded(tenant.api, batch)
    const { body } = await tenant.api.post('/responses', { model, input: fakePrompt({ usage }) })
    expect(body.usage.input_tokens_details).toEqual(DETAILS)
    const costs = (await recorded(tenant)).map(({ surface, cost_nanos }) => [surface, cost_nanos])
    expect(Object.fromEntries(costs)).toEqual({
      turn: costOf(1_250),
      batch: costOf(1_250) / 2n,
      // A response has no words for it.
      responses: costOf(1_000),
    })
  })

  test('is reserved for where it is asked for', async () => {
    const tenant = await newTenant(db, { creditUsd: '0.0000001' })
    const worst = (fields: object) => worstCaseOf(tenant, chatOf({ usage }, { model, max_tokens: 1, ...fields }))
    const [none, minutes, hour] = [await worst({}), await worst(hint('5m')), await worst(hint('1h'))]
    const output = 2_000n
    // The hint itself has some 60 bytes.
    expect(minutes - output).toBeGreaterThan(((none - output) * 5n) / 4n)
    expect(hour - output).toBeGreaterThan((none - output) * 2n)
    expect(hour - output).toBeLessThan(((none - output) * 5n) / 2n)
  })
})

test('what writing to a cache costs is told of a model', async () => {
  const { api } = await newTenant(db)
  const { body } = await api.get(`/models/${model}`)
  expect(body.compatibility_flags).toEqual(
    expect.arrayContaining(['cache_write_token_rate: 1.25', 'cache_write_1h_token_rate: 2']),
  )
})
