import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { CatalogEntry } from '../../../../domain/inference/catalog/catalog.schema.ts'
import { mostPriceOfCall, priceOfCall } from '../../../../domain/inference/catalog/pricing.rules.ts'
import type { ChatCompletionRequest } from '../../../../domain/inference/chat-request/chat.schema.ts'
import { countedBoundOf } from '../../../../domain/inference/chat/counted-bound.ts'
import { estimatedInputTokens } from '../../../../domain/inference/chat-request/input-bound.rules.ts'
import { sentChat, worstPriceOf } from '../../../../domain/inference/chat-request/sent-chat.rules.ts'
import { countTexts, type TextsToCount } from '../../../../domain/inference/threads/tasks.ts'
import type { ThreadWork } from '../../../../domain/inference/threads/thread-work.ts'
import { countTextTokens } from '../../../../infra/tokenizer/text-tokens.ts'
import { launchModel, refusalOf, thrownBy } from '../../fixtures.ts'

type Fields = Record<string, unknown>

const model = launchModel('openai/gpt-5.5')
const claude = launchModel('claude-opus-4.8')
const taskOwner = { tenant: 'user_a' }
/** Counts at once, in this thread. */
const threadWork = {
  countTexts: (_asker: unknown, texts: TextsToCount) => Promise.resolve(countTexts(texts)),
} as ThreadWork
const chat = (fields: object = {}) =>
  ({ model: model.id, messages: [{ role: 'user', content: 'hi' }], ...fields }) as ChatCompletionRequest
const parts = (...content: object[]) => chat({ messages: [{ role: 'user', content }] })
const image = (url: string) => ({ type: 'image_url', image_url: { url } })
const long = 'x'.repeat(300_000)
const limited = (tokens: number) => ({ max_tokens: tokens, max_completion_tokens: tokens })

describe('what leaves', () => {
  test.each<[string, object, object]>([
    ['has what is known to be priced', { seed: 7, temperature: 0 }, { seed: 7, temperature: 0 }],
    [
      'has nothing that could cost more',
      { best_of: 9, max_new_tokens: 1e6, prediction: {}, audio: {}, extra_body: { n: 9 }, models: ['dearer'], foo: 1 },
      {},
    ],
    ['has no field of ours', { metadata: { fast_lane: true }, service_tier: 'priority', stream: false }, {}],
    ['has nothing that is null', { stop: null }, {}],
    ['asks for usage of a stream', { stream: true }, { stream: true, stream_options: { include_usage: true } }],
    [
      'asks for it though the caller does not',
      { stream: true, stream_options: { include_usage: false } },
      { stream: true, stream_options: { include_usage: true } },
    ],
  ])('%s', (_what, fields, expected) => {
    const request = chat(fields)
    expect(sentChat(request, model).body).toEqual({ messages: request.messages, ...limited(16_384), ...expected })
  })

  test.each<[string, object, number]>([
    ['what is usual where none is stated', {}, 16_384],
    ['what is asked', { max_tokens: 5 }, 5],
    ['the smaller one of two', { max_tokens: 5, max_completion_tokens: 6 }, 5],
    ['no more than the model gives', { max_tokens: 1e6 }, 128_000],
    ['what the metadata bounds', { metadata: { max_output_tokens: 7 } }, 7],
    ['more where more is to be thought', { reasoning: { max_tokens: 20_000 } }, 36_384],
  ])('has the limit under both names: %s', (_what, fields, tokens) => {
    expect(sentChat(chat(fields), model).body).toMatchObject(limited(tokens))
  })

  test('a limit that nobody stated leaves the input its place in the window', () => {
    const narrow = { ...model, max_input_tokens: 110_000 }
    const { body } = sentChat(chat({ messages: [{ role: 'user', content: long }] }), narrow)
    expect(body['max_tokens']).toBeGreaterThan(8_000)
    expect(body['max_tokens']).toBeLessThan(10_000)
  })

  test.each([
    [{ modalities: ['text', 'audio'] }, 'modalities'],
    [{ reasoning: { max_tokens: 1.5 } }, 'reasoning.max_tokens'],
    [{ thinking: { budget_tokens: -1 } }, 'thinking.budget_tokens'],
  ])('%j is refused', (fields, param) => {
    expect(refusalOf(thrownBy(() => sentChat(chat(fields), model)))).toMatchObject({ status: 400, param })
  })
})

describe('the limit that was reserved', () => {
  test('goes upstream as it is, whatever the catalog says by then', () => {
    const dearer = { ...model, max_output_tokens: 50, price: { ...model.price, output: 1e6 } }
    const request = chat({ max_tokens: 900, metadata: { max_cost_usd: 0.01 } })
    expect(sentChat(request, dearer, { reserved: 700 })).toMatchObject({ limit: 700, body: limited(700) })
  })
})

describe('a request that asks to be cached', () => {
  const heartbeat = (fields: object, of = claude) => sentChat(chat(fields), of).rates.cache_write
  const hint = (more: object = {}) => ({ cache_control: { type: 'ephemeral', ...more } })
  const part = (more: object) => ({ messages: [{ role: 'user', content: [{ type: 'text', text: 'a', ...more }] }] })
  test.each<[string, object, number]>([
    ['by nobody', {}, 5],
    ['as a whole', hint(), 6.25],
    ['by a part', part(hint()), 6.25],
    ['by a part, for minutes', part(hint({ ttl: '5m' })), 6.25],
    ['by a part, for an hour', part(hint({ ttl: '1h' })), 10],
    ['by a tool', { tools: [{ type: 'function', function: { name: 'a' }, ...hint({ ttl: '1h' }) }] }, 10],
    ['by two, for the longer of both', { ...part(hint({ ttl: '1h' })), ...hint() }, 10],
    ['for a time that is not known', hint({ ttl: '24h' }), 10],
    ['but for text that says so', { messages: [{ role: 'user', content: '{"cache_control":{"ttl":"1h"}}' }] }, 5],
    ['but for a field that does not leave', { extra_body: hint() }, 5],
  ])('is priced so: %s', (_what, fields, rate) => {
    expect(heartbeat(fields)).toBe(rate)
    expect(heartbeat(fields, model)).toBe(model.price.input)
  })

  test('may cost that for all of its input', () => {
    const asked = sentChat(chat(hint({ ttl: '1h' })), claude)
    expect(worstPriceOf(asked, 'standard')).toBe(
      priceOfCall(asked.rates, { ...asked.most, cacheWrites: asked.most.input }, 'standard'),
    )
  })

  test('has fewer tokens for its `max_cost_usd`', () => {
    const bounded = (fields: object) => sentChat(chat({ metadata: { max_cost_usd: 0.001 }, ...fields }), claude).limit
    expect(bounded(hint({ ttl: '1h' }))).toBeLessThan(bounded({}))
  })
})

describe('the most it can cost', () => {
  const most = (request: ChatCompletionRequest, of: CatalogEntry = model) => sentChat(request, of).most
  test.each<[string, ChatCompletionRequest, number, number]>([
    ['counts a byte as a token', chat({ messages: [{ role: 'user', content: long }] }), 300_000, 301_000],
    ['counts the schema of a tool, whatever its keys', toolWith({ image_url: long }), 300_000, 303_000],
    ['counts a schema that the reply has to keep to', chat({ response_format: { image_url: long } }), 300_000, 302_000],
    ['counts a picture as such, whatever its bytes', parts(image(`data:image/png;base64,${long}`)), 16_384, 18_000],
    ['counts an address as text, and its picture', parts(image(`https://a.test/${long}`)), 316_000, 319_000],
    [
      'takes a file for all that the model can read',
      parts({ type: 'file', file: { file_id: 'f' } }),
      1_050_000,
      1_050_000,
    ],
    ['takes sound likewise', parts({ type: 'input_audio', input_audio: { data: 'AA' } }), 1_050_000, 1_050_000],
    ['takes a part of no known kind likewise', parts({ type: 'text', text: 'a' }, { type: 'x' }), 1_050_000, 1_050_000],
  ])('%s', (_what, request, least, highest) => {
    const { input } = most(request)
    expect(input).toBeGreaterThanOrEqual(least)
    expect(input).toBeLessThanOrEqual(highest)
  })

  test('is bounded by the window', () => {
    expect(
      most(chat({ messages: [{ role: 'user', content: long }] }), { ...model, max_input_tokens: 1_000 }).input,
    ).toBe(1_000)
  })

  test('has every choice, and what is thought besides the limit', () => {
    expect(most(chat({ max_tokens: 5, n: 3 })).output).toBe(15)
    expect(most(chat({ max_tokens: 5, n: 2, reasoning: { max_tokens: 100 } })).output).toBe(200)
  })

  test('of any request is what the answer at its limits costs', () => {
    fc.assert(
      fc.property(
        requests(),
        fc.constantFrom(model, claude),
        fc.nat(),
        fc.nat(),
        (request, of, cached, cacheWrites) => {
          const sent = sentChat(request, of)
          const { body, rates } = sent
          const choices = typeof body['n'] === 'number' ? body['n'] : 1
          const output = Number(body['max_tokens']) * choices
          const input = Math.min(tokensAtMost(body), of.max_input_tokens)
          for (const tier of ['standard', 'batch'] as const) {
            expect(worstPriceOf(sent, tier)).toBeGreaterThanOrEqual(
              priceOfCall(rates, { input, output, cached, cacheWrites }, tier),
            )
            expect(worstPriceOf(sent, tier)).toBeGreaterThanOrEqual(
              priceOfCall(rates, { input, output, cacheWrites: input }, tier),
            )
          }
        },
      ),
      { numRuns: 300 },
    )
  })

  test('as counted is below that by bytes, and still above what is read', async () => {
    await fc.assert(
      fc.asyncProperty(requests(), fc.constantFrom(model, claude), async (request, of) => {
        const sent = sentChat(request, of)
        const counted = await countedBoundOf({ threadWork }, taskOwner, sent, of)?.count()
        const byBytes = worstPriceOf(sent, 'standard')
        const read = { input: Math.min(tokensRead(sent.body), of.max_input_tokens), output: sent.most.output }
        expect(counted ?? byBytes).toBeLessThanOrEqual(byBytes)
        expect(counted ?? byBytes).toBeGreaterThanOrEqual(mostPriceOfCall(sent.rates, read, 'standard'))
      }),
      { numRuns: 200 },
    )
  })
})

function toolWith(properties: object): ChatCompletionRequest {
  return chat({ tools: [{ type: 'function', function: { name: 'a', parameters: { properties } } }] })
}

/** All that a provider may read as text, and the pictures. */
function textsOf(value: unknown, isPart = false): { texts: string[]; images: number } {
  if (typeof value === 'string') return { texts: [value], images: 0 }
  if (typeof value !== 'object' || value === null) return { texts: [], images: 0 }
  const { type, image_url: picture } = value as { type?: string; image_url?: { url: string } }
  if (isPart && type === 'image_url')
    return { texts: picture?.url.startsWith('data:') ? [] : [picture?.url ?? ''], images: 1 }
  const inner = Object.entries(value).map(([name, one]) =>
    Array.isArray(value) ? textsOf(one, isPart) : textsOf(one, name === 'content'),
  )
  return { texts: inner.flatMap(one => one.texts), images: inner.reduce((sum, one) => sum + one.images, 0) }
}

/** By the worst tokenizer that there can be: a token a byte. */
function tokensAtMost(body: Fields): number {
  const { texts, images } = textsOf(body)
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0) + images * 16_384
}

function tokensRead(body: Fields): number {
  const { texts, images } = textsOf(body)
  return texts.reduce((sum, text) => sum + countTextTokens(text, 'o200k_base'), 0) + images * 765
}

/** Requests of strangers: any text, keys that look like pictures, limits under any name. */
function requests(): fc.Arbitrary<ChatCompletionRequest> {
  const text = fc.oneof(fc.string({ unit: 'binary', maxLength: 60 }), fc.string({ maxLength: 200 }))
  const part = fc.oneof(
    text.map(words => ({ type: 'text', text: words })),
    fc.base64String({ maxLength: 80 }).map(data => image(`data:image/png;base64,${data}`)),
    fc.webUrl().map(image),
  )
  const heartbeat = fc.constantFrom({}, { cache_control: { type: 'ephemeral' } }, { cache_control: { ttl: '1h' } })
  const hinted = fc.tuple(part, heartbeat).map(([one, hint]) => ({ ...one, ...hint }))
  const message = fc.record({ role: fc.constantFrom('user', 'system'), content: fc.oneof(text, fc.array(hinted)) })
  const count = fc.integer({ min: 1, max: 200_000 })
  const options = fc.record(
    {
      max_tokens: count,
      max_completion_tokens: count,
      n: fc.integer({ min: 1, max: 8 }),
      best_of: count,
      stop: text,
      tools: fc.array(
        fc.record({ type: fc.constant('function'), image_url: text, function: fc.record({ name: text }) }),
      ),
      response_format: fc.record({ image_url: text }),
      reasoning: fc.record({ max_tokens: count }),
      extra_body: fc.record({ max_tokens: count }),
    },
    { requiredKeys: [] },
  )
  return fc
    .tuple(fc.array(message, { minLength: 1, maxLength: 4 }), options)
    .map(([messages, fields]) => chat({ messages, ...fields }))
}

describe('the quick estimate of the input', () => {
  test.each<[string, ChatCompletionRequest, number, number]>([
    ['counts text', chat({ messages: [{ role: 'user', content: long }] }), 100_000, 100_020],
    ['counts bytes, not characters', chat({ messages: [{ role: 'user', content: '字'.repeat(3_000) }] }), 3_000, 3_020],
    ['counts tools', toolWith({ image_url: long }), 100_000, 100_060],
    ['counts a picture as such', parts(image(`data:image/png;base64,${long}`)), 1_600, 1_650],
    ['counts every picture', parts(image('https://a'), image('https://b')), 3_200, 3_260],
    [
      'is not misled by text that looks like a picture',
      chat({ messages: [{ role: 'user', content: '"image_url":' }] }),
      1,
      40,
    ],
  ])('%s', (_what, request, least, most) => {
    const tokens = estimatedInputTokens(request)
    expect(tokens).toBeGreaterThanOrEqual(least)
    expect(tokens).toBeLessThanOrEqual(most)
  })
})
