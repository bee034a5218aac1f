import { describe, expect, test } from '@jest/globals'
import OpenAI from 'openai'
import { upstreamCallsOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt, waitForAbort, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type TenantOptions } from '../../support/tenants.ts'

const db = testDatabase()
const { apiUrl, upstreamUrl } = testStack()

const clientOf = (apiKey: string, maxRetries = 0) => new OpenAI({ apiKey, baseURL: `${apiUrl}/v1`, maxRetries })
async function newClient(options: TenantOptions = {}) {
  const tenant = await newTenant(db, options)
  const requestOf = (script: FakeScript, model = 'test/plain') => ({
    model,
    messages: [{ role: 'user' as const, content: fakePrompt({ id: tenant.keyId, ...script }) }],
  })
  return { tenant, client: clientOf(tenant.secret), requestOf }
}

describe('chat', () => {
  test('plain', async () => {
    const { client, requestOf } = await newClient()
    const { data, request_id: requestId } = await client.chat.completions
      .create(requestOf({ reply: 'hello' }))
      .withResponse()
    expect(data).toMatchObject({
      object: 'chat.completion',
      model: 'test/plain',
      choices: [{ message: { role: 'assistant', content: 'hello' }, finish_reason: 'stop' }],
    })
    expect(data.usage?.total_tokens).toBe((data.usage?.prompt_tokens ?? 0) + 1)
    expect((data as unknown as { ipop: { request_id: string } }).ipop.request_id).toBe(requestId)
  })

  test('streamed, with usage', async () => {
    const { client, requestOf } = await newClient()
    const options = { stream: true, stream_options: { include_usage: true } } as const
    const stream = await client.chat.completions.create({ ...requestOf({ reply: 'one two three' }), ...options })
    let [text, tokens] = ['', 0]
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta.content ?? ''
      tokens = chunk.usage?.completion_tokens ?? tokens
    }
    expect({ text, tokens }).toEqual({ text: 'one two three', tokens: 3 })
  })

  test('streamed and left half-way', async () => {
    const { client, requestOf, tenant } = await newClient()
    const request = requestOf({ reply: 'one two three', hangAfterChunks: 2 })
    const stream = await client.chat.completions.create({ ...request, stream: true })
    for await (const chunk of stream) if (chunk.choices[0]?.delta.content === ' two') break
    expect(await waitForAbort(upstreamUrl, tenant.keyId)).toHaveLength(1)
  })

  test('streamed and broken off: the client throws', async () => {
    const { client, requestOf } = await newClient()
    const request = requestOf({ reply: 'one two three', dieAfterChunks: 2 })
    const stream = await client.chat.completions.create({ ...request, stream: true })
    const reading = (async () => {
      for await (const chunk of stream) expect(chunk.object).toBe('chat.completion.chunk')
    })()
    await expect(reading).rejects.toThrow(OpenAI.APIError)
    await expect(reading).rejects.toMatchObject({
      code: 'service_unavailable',
      message: expect.stringMatching(/broke off/),
    })
  })

  test('streamed, with a tool that the client runs', async () => {
    const { client, requestOf, tenant } = await newClient()
    const seen: unknown[] = []
    const tool = {
      type: 'function' as const,
      function: {
        name: 'weather',
        description: 'Weather of a city',
        parameters: { type: 'object', properties: { city: { type: 'string' } } },
        parse: (text: string) => JSON.parse(text) as { city: string },
        function: (args: { city: string }) => {
          seen.push(args)
          return 'rain'
        },
      },
    }
    const script = {
      chunks: [''],
      toolCalls: ['Oslo', 'Rome'].map(city => ({ name: 'weather', arguments: JSON.stringify({ city }) })),
    }
    const runner = client.chat.completions.runTools(
      { ...requestOf(script), stream: true, tools: [tool] },
      { maxChatCompletions: 1 },
    )
    await runner.done()
    expect(seen).toEqual([{ city: 'Oslo' }, { city: 'Rome' }])
    expect(runner.messages.slice(1)).toMatchObject([
      { role: 'assistant', tool_calls: [{ id: 'call_0' }, { id: 'call_1' }] },
      { role: 'tool', tool_call_id: 'call_0', content: 'rain' },
      { role: 'tool', tool_call_id: 'call_1', content: 'rain' },
    ])
    const next = await client.chat.completions.create({
      model: 'test/plain',
      messages: [...runner.messages, ...requestOf({ reply: 'It rains.' }).messages],
    })
    expect(next.choices[0]?.message.content).toBe('It rains.')
    expect((await upstreamCallsOf(tenant)).at(-1)?.body.messages).toHaveLength(5)
  })
})

describe('errors have their class and a sentence', () => {
  type Call = (client: OpenAI) => Promise<unknown>
  const message = { role: 'user' as const, content: 'hi' }
  const chat =
    (body: object): Call =>
    client =>
      client.chat.completions.create({ model: 'test/plain', messages: [message], ...body })
  test.each<[string, TenantOptions, Call, new (...args: never[]) => Error, RegExp]>([
    [
      'BadRequestError',
      {},
      chat({ max_completion_tokens: -1 }),
      OpenAI.BadRequestError,
      /400 .*bad_request: .*max_completion_tokens/,
    ],
    [
      'PermissionDeniedError',
      { allowedModels: ['x'] },
      chat({}),
      OpenAI.PermissionDeniedError,
      /403 .*model_not_allowed: .*test\/plain/,
    ],
    [
      'NotFoundError of a model',
      {},
      chat({ model: 'none' }),
      OpenAI.NotFoundError,
      /404 .*model_unavailable: There is no model/,
    ],
    [
      'NotFoundError of a file',
      {},
      client => client.files.retrieve('file_0'),
      OpenAI.NotFoundError,
      /404 .*There is no such file/,
    ],
    [
      'NotFoundError of a batch',
      {},
      client => client.batches.retrieve('batch_0'),
      OpenAI.NotFoundError,
      /404 .*no such batch/,
    ],
    [
      'ConflictError',
      {},
      chat({ model: 'test/unrouted' }),
      OpenAI.ConflictError,
      /409 .*model_unavailable: .*not enabled/,
    ],
    ['APIError without credit', { creditUsd: '0' }, chat({}), OpenAI.APIError, /402 .*payment_required: .*credit/],
  ])('%s', async (_, options, call, wanted, sentence) => {
    const { client } = await newClient(options)
    const failing = call(client)
    await expect(failing).rejects.toThrow(wanted)
    await expect(failing).rejects.toThrow(sentence)
    await expect(failing).rejects.toHaveProperty('requestID', expect.stringMatching(/^[0-9a-f-]{36}$/))
  })

  test('AuthenticationError', async () => {
    const failing = chat({})(clientOf(`ipop_${'x'.repeat(43)}`))
    await expect(failing).rejects.toThrow(OpenAI.AuthenticationError)
    await expect(failing).rejects.toThrow(/401 .*unauthorized: The API key is not valid/)
  })

  test('RateLimitError', async () => {
    const { client } = await newClient({ requestsPerMinute: 1 })
    await client.files.list()
    const failing = client.files.list()
    await expect(failing).rejects.toThrow(OpenAI.RateLimitError)
    await expect(failing).rejects.toThrow(/429 .*rate_limit_exceeded: .*1 requests a minute/)
  })

  test('a 429 is tried again by the client after the time it is told', async () => {
    const { tenant, requestOf } = await newClient()
    const request = requestOf({ status: 429, failTimes: 1, retryAfter: 1, reply: 'at last' }, 'test/limited')
    const reply = await clientOf(tenant.secret, 2).chat.completions.create(request)
    expect(reply.choices[0]?.message.content).toBe('at last')
    const [first, second] = await upstreamCallsOf(tenant)
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(950)
  })
})

test('models are listed and got', async () => {
  const { client } = await newClient()
  const ids = (await client.models.list()).data.map(model => model.id)
  expect(ids).toContain('test/plain')
  expect(await client.models.retrieve('test/plain')).toMatchObject({ id: 'test/plain', object: 'model' })
})

describe('embeddings', () => {
  test('come as numbers, and the same in base64, which the client unpacks', async () => {
    const { client } = await newClient()
    const floats = await client.embeddings.create({
      model: 'test/embed',
      input: ['one', 'two'],
      encoding_format: 'float',
    })
    const packed = await client.embeddings.create({ model: 'test/embed', input: 'one' })
    expect(floats.data.map(item => item.index)).toEqual([0, 1])
    const [first, again] = [floats.data[0]?.embedding ?? [], packed.data[0]?.embedding ?? []]
    expect(first.length).toBeGreaterThan(1)
    expect(again).toHaveLength(first.length)
    again.forEach((value, place) => expect(value).toBeCloseTo(first[place] ?? Number.NaN, 5))
  })

  test('of a model that has none are refused', async () => {
    const { client } = await newClient()
    await expect(client.embeddings.create({ model: 'test/plain', input: 'x' })).rejects.toThrow(OpenAI.BadRequestError)
  })
})

test('images are generated', async () => {
  const { client } = await newClient()
  const url = 'data:image/png;base64,iVBORw0KGgo='
  const prompt = fakePrompt({ reply: '', extraMessage: { images: [{ image_url: { url } }] } })
  const { data } = await client.images.generate({ model: 'test/draw', prompt, size: '1024x1024', n: 2 })
  expect(data?.map(image => image.url)).toEqual([url, url])
})
