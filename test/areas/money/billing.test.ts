import { describe, expect, test } from '@jest/globals'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf, tryChat, upstreamCallsOf } from '../../support/chats.ts'
import { eventsOf } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import type { FakeScript } from '../../support/fake-upstream.ts'
import { newTenant } from '../../support/tenants.ts'
import { addCredit } from '../../../domain/money/ledger/ledger.service.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const USD = 1_000_000_000n
const usageOf = (input: number, output: number, cached?: number, reasoning?: number) => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
  ...(cached !== undefined && { prompt_tokens_details: { cached_tokens: cached, audio_tokens: 0 } }),
  ...(reasoning !== undefined && { completion_tokens_details: { reasoning_tokens: reasoning } }),
})

describe('a call costs to the nano-USD', () => {
  // Input, cached input and output in USD per million: 1, 0.1 and 2; test/dear 1,000, 100 and 1,000; the last 0.3, 0.006 and 1.2.
  test.each<[string, string, ReturnType<typeof usageOf>, bigint]>([
    ['input and output', 'test/plain', usageOf(1_000, 100), 1_200_000n],
    ['cached input at its own price', 'test/plain', usageOf(1_000, 100, 400), 840_000n],
    ['cached input only', 'test/plain', usageOf(1_000, 0, 1_000), 100_000n],
    ['reasoning as the output that it is', 'test/plain', usageOf(10, 500, undefined, 450), 1_010_000n],
    ['all of it', 'test/plain', usageOf(10_001, 333, 7_777, 300), 2_224_000n + 777_700n + 666_000n],
    ['one token', 'test/plain', usageOf(1, 0), 1_000n],
    ['nothing', 'test/plain', usageOf(0, 0), 0n],
    ['more cached than there is', 'test/plain', usageOf(10, 0, 99), 1_000n],
    ['dearly', 'test/dear', usageOf(500, 700, 100), 400_000_000n + 10_000_000n + 700_000_000n],
    ['a model of the launch list', 'ipop/coder-balanced', usageOf(1_001, 7, 501), 161_406n],
  ])('for %s', async (_, model, usage, nanos) => {
    const { tenant, reply } = await tryChat(db, { model }, { usage })
    expect(reply.status).toBe(200)
    const { cached_tokens: told = null } = usage.prompt_tokens_details ?? {}
    // No more is cached than there is.
    const cached = told === null ? null : Math.min(told, usage.prompt_tokens)
    const { reasoning_tokens: reasoning = null } = usage.completion_tokens_details ?? {}
    const { calls, charges, hourly, balanceNanos, entriesNanos } = await booksOf(db, tenant)
    const [input, output] = [usage.prompt_tokens, usage.completion_tokens]
    const id = reply.headers.get('x-request-id')
    expect(calls).toMatchObject([
      {
        id,
        user_id: tenant.userId,
        api_key_id: tenant.keyId,
        surface: 'chat',
        model,
        status: 'completed',
        tokens_in: input,
        tokens_out: output,
        cached_tokens: cached,
        reasoning_tokens: reasoning,
        usage_source: 'upstream',
        cost_nanos: nanos,
      },
    ])
    expect(charges).toEqual(nanos === 0n ? [] : [{ reference: id, amount_nanos: -nanos }])
    expect(hourly).toEqual({ requests: 1n, tokens_in: BigInt(input), tokens_out: BigInt(output), cost_nanos: nanos })
    expect({ balanceNanos, entriesNanos }).toEqual({ balanceNanos: 10n * USD - nanos, entriesNanos: 10n * USD - nanos })
    expect(Math.round(reply.body.ipop.cost_usd * 1e9)).toBe(Number(nanos))
    expect(reply.body.usage).toEqual({
      prompt_tokens: input,
      completion_tokens: output,
      total_tokens: input + output,
      ...(cached !== null && { prompt_tokens_details: { cached_tokens: cached } }),
      ...(reasoning !== null && { completion_tokens_details: { reasoning_tokens: reasoning } }),
    })
  })
})

describe('where the upstream gives no usage', () => {
  test.each<[string, FakeScript, object, number]>([
    ['a plain reply', {}, {}, 3],
    ['a stream', {}, { stream: true }, 3],
    ['what is no usage', { usage: { prompt_tokens: 'many', completion_tokens: -1 }, noUsage: false }, {}, 3],
    ['reasoning', { extraMessage: { reasoning: 'one two three' } }, {}, 6],
  ])('the tokens of %s are counted', async (_, script, body, output) => {
    const tenant = await newTenant(db)
    const request = chatOf({ noUsage: true, reply: 'one two three', ...script, id: tenant.keyId }, body)
    const reply = await tenant.api.open(CHAT, request)
    await eventsOf(reply)
    const { calls, charges, hourly, balanceNanos } = await booksOf(db, tenant)
    expect(calls).toMatchObject([{ usage_source: 'counted', status: 'completed', tokens_out: output }])
    const { tokens_in: input = 0, cost_nanos: cost } = calls[0] ?? {}
    const bytes = JSON.stringify(request.messages).length
    expect(input).toBeGreaterThan(bytes / 8)
    expect(input).toBeLessThan(bytes)
    expect(cost).toBe(BigInt(input) * 1_000n + BigInt(output) * 2_000n)
    expect(charges).toMatchObject([{ amount_nanos: -(cost ?? 0n) }])
    expect(hourly).toMatchObject({ requests: 1n, cost_nanos: cost })
    expect(balanceNanos).toBe(10n * USD - (cost ?? 0n))
  })
})

describe('402 payment_required, before the upstream is called,', () => {
  test.each<[string, string, object]>([
    ['without credit', '0', {}],
    ['without credit, of a stream', '0', { stream: true }],
    ['with debts', '-1', {}],
    ['where the worst case is dearer', '0.9', { model: 'test/dear' }],
    ['where the asked output is dearer', '0.5', { model: 'test/dear', max_completion_tokens: 500 }],
    ['where several choices are dearer', '0.9', { model: 'test/dear', max_completion_tokens: 300, n: 3 }],
    ['where the input is dearer', '0.5', { model: 'test/dear', max_tokens: 1, tools: bigTools() }],
  ])('%s', async (_, creditUsd, body) => {
    const { tenant, reply, calls } = await tryChat(db, body, {}, { creditUsd })
    const error = expectError(reply, 402, { code: 'payment_required', type: 'insufficient_credit' })
    expect(error.retryable).toBe(false)
    expect(calls).toEqual([])
    const books = await booksOf(db, tenant)
    expect({ calls: books.calls, balance: books.balanceNanos }).toEqual({
      calls: [],
      balance: BigInt(Number(creditUsd) * 1e9),
    })
  })

  function bigTools(): object[] {
    const description = 'word '.repeat(500)
    return [{ type: 'function', function: { name: 'f', description } }]
  }

  test('until credit is added, or less is asked for', async () => {
    const { tenant, reply } = await tryChat(db, { model: 'test/dear' }, {}, { creditUsd: '0.5' })
    expect(expectError(reply, 402).message).toMatch(/up to 1\.\d+ USD and 0\.50 USD are free.*max_completion_tokens/)
    const ask = (body: object) => tenant.api.post(CHAT, chatOf({ id: tenant.keyId }, { model: 'test/dear', ...body }))
    expect((await ask({ max_completion_tokens: 10 })).status).toBe(200)
    await addCredit({ db }, tenant.userId, 5n * USD, 'test')
    await until(async () => (await ask({})).status === 200)
    expect(await upstreamCallsOf(tenant)).toHaveLength(2)
  })
})
