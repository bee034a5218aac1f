import { describe, expect, test } from '@jest/globals'
import OpenAI from 'openai'
import { upstreamCallsOf } from '../../support/chats.ts'
import { eventsOf } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakePrompt, type FakeScript } from '../../support/fake-upstream.ts'
import { servedDocument } from '../../support/served-document.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant, type TenantOptions } from '../../support/tenants.ts'

const db = testDatabase()
const document = await servedDocument()

async function newWriter(options: TenantOptions = {}) {
  const tenant = await newTenant(db, options)
  const prompt = (script: FakeScript) => fakePrompt({ id: tenant.keyId, ...script })
  const complete = (script: FakeScript, body: object = {}) =>
    tenant.api.post('/completions', { model: 'test/plain', prompt: prompt(script), ...body })
  return { tenant, prompt, complete }
}

/** What the account's calls are recorded to have cost, and how many they are. */
async function recorded({ api }: Tenant) {
  const { body } = await api.get('/usage?surface=chat')
  return { calls: body.total_requests as number, cost: body.total_cost as number }
}

describe('a completion', () => {
  test('is a chat of its prompt, recorded and charged as one', async () => {
    const { tenant, complete } = await newWriter()
    const { status, body, headers } = await complete({ reply: 'hello there' }, { temperature: 0.5, stop: ['x'] })
    expect(document.faults('POST', '/completions', status, body)).toEqual([])
    expect(body).toMatchObject({
      id: `cmpl-${headers.get('x-request-id')}`,
      object: 'text_completion',
      model: 'test/plain',
      choices: [{ text: 'hello there', index: 0, logprobs: null, finish_reason: 'stop' }],
      usage: { completion_tokens: 2 },
    })
    const [asked] = await upstreamCallsOf(tenant)
    expect(asked?.body).toMatchObject({ max_tokens: 16, temperature: 0.5, stop: ['x'], messages: [{ role: 'user' }] })
    expect(asked?.body).not.toHaveProperty('prompt')
    expect(await recorded(tenant)).toEqual({ calls: 1, cost: body.ipop.cost_usd })
    expect((await tenant.api.get(`/request-history/${headers.get('x-request-id')}`)).status).toBe(200)
  })

  test.each([
    [{ max_tokens: null }, 16],
    [{ max_tokens: 300 }, 300],
  ])('with %j asks for at most %i tokens', async (body, tokens) => {
    const { tenant, complete } = await newWriter()
    await complete({ reply: 'a' }, body)
    expect((await upstreamCallsOf(tenant))[0]?.body).toMatchObject({ max_tokens: tokens })
  })

  test('echoes its prompt where that is asked', async () => {
    const { prompt, complete } = await newWriter()
    const { body } = await complete({ reply: ' and on' }, { echo: true })
    expect(body.choices[0].text).toBe(`${prompt({ reply: ' and on' })} and on`)
  })

  test('of several prompts has their texts in order, each with a record and a charge', async () => {
    const { tenant, prompt } = await newWriter()
    const prompts = ['one', 'two two', 'three'].map(reply => prompt({ reply }))
    const { status, body } = await tenant.api.post('/completions', { model: 'test/plain', prompt: prompts })
    expect(document.faults('POST', '/completions', status, body)).toEqual([])
    expect(body.choices.map((choice: { text: string; index: number }) => [choice.index, choice.text])).toEqual([
      [0, 'one'],
      [1, 'two two'],
      [2, 'three'],
    ])
    expect(body.usage.completion_tokens).toBe(4)
    expect(body.usage.total_tokens).toBe(body.usage.prompt_tokens + 4)
    const { calls, cost } = await recorded(tenant)
    expect([calls, cost]).toEqual([3, body.ipop.cost_usd])
  })

  test('of several prompts of which one fails gives the others, and says so', async () => {
    const { tenant, prompt } = await newWriter()
    const prompts = [prompt({ reply: 'fine' }), prompt({ status: 400, errorMessage: 'no' })]
    const { status, body } = await tenant.api.post('/completions', { model: 'test/plain', prompt: prompts })
    expect(status).toBe(200)
    expect(body.choices).toMatchObject([
      { index: 0, text: 'fine', finish_reason: 'stop' },
      { index: 1, text: '', finish_reason: 'error', error: { code: 'bad_request' } },
    ])
  })

  test.each<[string, object, number, object]>([
    ['a suffix', { suffix: 'end' }, 400, { param: 'suffix' }],
    ['logprobs', { logprobs: 0 }, 400, { param: 'logprobs' }],
    ['the best of several', { best_of: 3 }, 400, { param: 'best_of' }],
    ['tokens', { prompt: [1, 2, 3] }, 400, { param: 'prompt' }],
    ['tokens of several prompts', { prompt: [[1, 2], [3]] }, 400, { param: 'prompt' }],
    ['nine prompts', { prompt: Array.from({ length: 9 }, () => 'a') }, 400, { param: 'prompt' }],
    ['a model that is none', { model: 'none' }, 404, { code: 'model_unavailable' }],
    ['a model for embeddings', { model: 'test/embed' }, 400, { param: 'model' }],
    ['more choices than may be', { n: 9 }, 400, { param: 'n' }],
    ['all of a window', { prompt: 'word '.repeat(300_000) }, 400, { code: 'context_length_exceeded', param: 'prompt' }],
  ])('of %s is refused, and by its own field', async (_, body, status, wanted) => {
    const { tenant, complete } = await newWriter({ creditUsd: '1000' })
    expectError(await complete({ reply: 'never' }, body), status, wanted)
    expect(await upstreamCallsOf(tenant)).toEqual([])
  })

  test('is refused without credit', async () => {
    const { complete } = await newWriter({ creditUsd: '0' })
    expectError(await complete({ reply: 'never' }), 402, { code: 'payment_required' })
  })

  test('with an Idempotency-Key is made once', async () => {
    const { tenant, prompt } = await newWriter()
    const body = { model: 'test/plain', prompt: prompt({ reply: 'once' }) }
    const [first, again] = [
      await tenant.api.post('/completions', body, { 'idempotency-key': 'one' }),
      await tenant.api.post('/completions', body, { 'idempotency-key': 'one' }),
    ]
    expect(again.body).toEqual(first.body)
    expect(again.headers.get('idempotent-replayed')).toBe('true')
    expect(await upstreamCallsOf(tenant)).toHaveLength(1)
  })

  test('takes what asks for nothing', async () => {
    const { complete } = await newWriter()
    const nothing = { suffix: null, logprobs: null, best_of: 1, echo: null, n: null, stop: null, stream: null }
    expect((await complete({ reply: 'a' }, nothing)).status).toBe(200)
  })
})

describe('a streamed completion', () => {
  const stream = async (body: object, options: TenantOptions = {}) => {
    const { tenant, prompt } = await newWriter(options)
    const request = { model: 'test/plain', stream: true, prompt: prompt({ reply: 'one two three' }), ...body }
    return { tenant, events: await eventsOf(await tenant.api.open('/completions', request)) }
  }
  const parsed = (events: string[]) => events.filter(one => one !== '[DONE]').map(one => JSON.parse(one))
  const textOf = (chunks: { choices: { text: string; index: number }[] }[], index = 0) =>
    chunks.flatMap(({ choices }) => choices.filter(one => one.index === index).map(one => one.text)).join('')

  test('is chunks of text, then the figures, then the end', async () => {
    const { tenant, events } = await stream({ stream_options: { include_usage: true } })
    const chunks = parsed(events)
    expect(events.at(-1)).toBe('[DONE]')
    expect(textOf(chunks)).toBe('one two three')
    for (const chunk of chunks) expect(chunk).toMatchObject({ object: 'text_completion', model: 'test/plain' })
    expect(chunks.at(-2)?.choices[0].finish_reason).toBe('stop')
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 3 } })
    expect(await recorded(tenant)).toEqual({ calls: 1, cost: chunks.at(-1)?.ipop.cost_usd })
  })

  test('of several prompts tells them apart', async () => {
    const prompt = ['a b', 'c'].map(reply => fakePrompt({ reply }))
    const { events } = await stream({ prompt, echo: true, stream_options: { include_usage: true } })
    const chunks = parsed(events)
    expect([textOf(chunks, 0), textOf(chunks, 1)]).toEqual([`${prompt[0]}a b`, `${prompt[1]}c`])
    expect(chunks.at(-1)?.usage.completion_tokens).toBe(3)
  })

  test('that breaks off ends with an error, not with the end', async () => {
    const { events } = await stream({ prompt: fakePrompt({ reply: 'one two three', dieAfterChunks: 2 }) })
    expect(parsed(events).at(-1)).toMatchObject({ error: { code: 'service_unavailable' } })
    expect(events).not.toContain('[DONE]')
  })
})

test("OpenAI's client completes, plain and streamed", async () => {
  const { tenant, prompt } = await newWriter()
  const client = new OpenAI({ apiKey: tenant.secret, baseURL: `${testStack().apiUrl}/v1`, maxRetries: 0 })
  const request = { model: 'test/plain', prompt: prompt({ reply: 'one two' }) }
  expect((await client.completions.create(request)).choices[0]?.text).toBe('one two')
  let text = ''
  for await (const chunk of await client.completions.create({ ...request, stream: true })) {
    text += chunk.choices[0]?.text ?? ''
  }
  expect(text).toBe('one two')
})
