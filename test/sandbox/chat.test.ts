import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import Schema from 'typebox/schema'
import { countTextTokens } from '../../infra/tokenizer/text-tokens.ts'
import { startTestSandbox, type TestSandbox } from './sandbox.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await startTestSandbox()
})
afterAll(() => sandbox.close())

const complaint = 'My invoice is wrong: I was charged twice for the same order. Please refund one payment.'
const ask = (content: string) => ({ model: 'openai/gpt-5.5', messages: [{ role: 'user' as const, content }] })
const weather = {
  type: 'function' as const,
  function: {
    name: 'get_weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } },
      required: ['city', 'unit'],
      additionalProperties: false,
    },
  },
}
const clock = {
  type: 'function' as const,
  function: { name: 'get_time', parameters: { type: 'object', properties: {} } },
}

describe('a plain reply', () => {
  test('says that it is the sandbox, which model was asked, and what it read', async () => {
    const { data, response } = await sandbox.client.chat.completions.create(ask(complaint)).withResponse()
    const text = data.choices[0]?.message.content ?? ''
    expect(response.headers.get('x-ipop-sandbox')).toBe('true')
    expect(data.model).toBe('openai/gpt-5.5')
    expect(data.choices[0]?.finish_reason).toBe('stop')
    for (const words of ['Sandbox', 'openai/gpt-5.5', 'billing', 'negative', 'charged twice'])
      expect(text).toContain(words)
    expect(data.usage).toMatchObject({
      completion_tokens: countTextTokens(text),
      total_tokens: (data.usage?.prompt_tokens ?? 0) + countTextTokens(text),
      completion_tokens_details: { reasoning_tokens: 0 },
    })
  })

  test('is the same for the same input and another for other input', async () => {
    const textFor = async (content: string) =>
      (await sandbox.client.chat.completions.create(ask(content))).choices[0]?.message.content
    expect(await textFor(complaint)).toBe(await textFor(complaint))
    expect(await textFor(complaint)).not.toBe(await textFor('I cannot log in'))
  })

  test.each(['max_tokens', 'max_completion_tokens'])('ends at %s', async limit => {
    const reply = await sandbox.client.chat.completions.create({ ...ask(complaint), [limit]: 5 })
    expect(reply.choices[0]?.finish_reason).toBe('length')
    expect(reply.usage?.completion_tokens).toBe(5)
  })

  test('ends before a stop word', async () => {
    const reply = await sandbox.client.chat.completions.create({ ...ask(complaint), stop: ['billing', 'never'] })
    expect(reply.choices[0]).toMatchObject({ finish_reason: 'stop', message: { content: 'Sandbox: this reads as a ' } })
  })

  test('acknowledges tool results, images and a wish for length', async () => {
    const reply = await sandbox.client.chat.completions.create({
      model: 'm',
      messages: [
        {
          role: 'user',
          content: [
            { type: 'text', text: 'Describe this in 200 words' },
            { type: 'image_url', image_url: { url: 'https://example.com/cat.png', detail: 'low' } },
          ],
        },
        {
          role: 'assistant',
          tool_calls: [{ id: 'call_7', type: 'function', function: { name: 'look', arguments: '{}' } }],
        },
        { role: 'tool', tool_call_id: 'call_7', content: 'a cat on a mat' },
      ],
    })
    const text = reply.choices[0]?.message.content ?? ''
    expect(text).toContain('1 image;')
    expect(text).toContain('call_7 returned: a cat on a mat')
    expect(text.split(' ')).toHaveLength(200)
    expect(reply.usage?.prompt_tokens).toBeGreaterThan(85)
  })

  test('gives n choices and bills them all', async () => {
    const [one, three] = await Promise.all(
      [1, 3].map(n => sandbox.client.chat.completions.create({ ...ask(complaint), n })),
    )
    expect(three?.choices.map(choice => choice.index)).toEqual([0, 1, 2])
    expect(three?.usage?.completion_tokens).toBe(3 * (one?.usage?.completion_tokens ?? 0))
  })
})

describe('a stream', () => {
  test('brings the same text word by word, then the usage with empty choices', async () => {
    const whole = await sandbox.client.chat.completions.create(ask(complaint))
    const stream = await sandbox.client.chat.completions.create({
      ...ask(complaint),
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    const words = chunks.flatMap(chunk => chunk.choices[0]?.delta.content ?? [])
    expect(words.length).toBeGreaterThan(20)
    expect(words.join('')).toBe(whole.choices[0]?.message.content)
    expect(chunks[0]?.choices[0]?.delta.role).toBe('assistant')
    expect(chunks.at(-2)?.choices[0]?.finish_reason).toBe('stop')
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: whole.usage })
  })

  test('has no usage unless asked for, and ends with [DONE]', async () => {
    const text = await (await sandbox.post('/chat/completions', { ...ask('Hi'), stream: true })).text()
    expect(text.startsWith(': ')).toBe(true)
    expect(text.endsWith('data: [DONE]\n\n')).toBe(true)
    expect(text).not.toContain('"usage"')
  })

  test('brings tool calls as fragments: id and name first, then the arguments', async () => {
    const request = {
      ...ask('Weather in Oslo?'),
      tools: [weather, clock],
      tool_choice: 'required' as const,
      parallel_tool_calls: true,
    }
    const stream = await sandbox.client.chat.completions.create({ ...request, stream: true })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    const fragments = chunks.flatMap(chunk => chunk.choices[0]?.delta.tool_calls ?? [])
    const first = fragments.filter(fragment => fragment.index === 0)
    expect(first[0]).toMatchObject({ type: 'function', function: { name: 'get_weather', arguments: '' } })
    expect(first[0]?.id).toMatch(/^call_/)
    expect(first.slice(1).every(fragment => fragment.id === undefined)).toBe(true)
    const args = first.map(fragment => fragment.function?.arguments).join('')
    expect(Schema.Check(weather.function.parameters, JSON.parse(args))).toBe(true)
    expect(fragments.some(fragment => fragment.index === 1 && fragment.function?.name === 'get_time')).toBe(true)
    expect(chunks.at(-1)?.choices[0]?.finish_reason).toBe('tool_calls')
  })
})

describe('tools', () => {
  const request = { ...ask('Weather in Oslo?'), tools: [weather, clock] }

  test('are called when a name is demanded', async () => {
    const reply = await sandbox.client.chat.completions.create({
      ...request,
      tool_choice: { type: 'function', function: { name: 'get_time' } },
    })
    expect(reply.choices[0]?.finish_reason).toBe('tool_calls')
    expect(reply.choices[0]?.message.content).toBeNull()
    expect(reply.choices[0]?.message.tool_calls).toMatchObject([{ function: { name: 'get_time', arguments: '{}' } }])
  })

  test.each([
    [undefined, 1],
    [false, 1],
    [true, 2],
  ])('parallel_tool_calls %s gives %i call(s)', async (parallel, calls) => {
    const parallelism = parallel === undefined ? {} : { parallel_tool_calls: parallel }
    const reply = await sandbox.client.chat.completions.create({ ...request, ...parallelism, tool_choice: 'required' })
    const toolCalls = reply.choices[0]?.message.tool_calls ?? []
    expect(toolCalls).toHaveLength(calls)
    expect(new Set(toolCalls.map(call => call.id)).size).toBe(calls)
  })

  test('are left alone otherwise', async () => {
    for (const tool_choice of ['auto', 'none'] as const) {
      const reply = await sandbox.client.chat.completions.create({ ...request, tool_choice })
      expect(reply.choices[0]?.message.tool_calls).toBeUndefined()
    }
  })
})

describe('response_format', () => {
  test('json_schema gives JSON for the schema, read from the text', async () => {
    const schema = {
      type: 'object',
      properties: {
        category: { type: 'string', enum: ['technical', 'billing', 'other'] },
        sentiment: { $ref: '#/$defs/sentiment' },
        confidence: { type: 'number', minimum: 0, maximum: 1 },
        tags: { type: 'array', items: { type: 'string', maxLength: 8 }, minItems: 2, uniqueItems: true },
      },
      required: ['category', 'sentiment', 'confidence', 'tags'],
      additionalProperties: false,
      $defs: { sentiment: { enum: ['positive', 'neutral', 'negative'] } },
    }
    const reply = await sandbox.client.chat.completions.create({
      ...ask(complaint),
      response_format: { type: 'json_schema', json_schema: { name: 'ticket', strict: true, schema } },
    })
    const value = JSON.parse(reply.choices[0]?.message.content ?? '') as object
    expect(Schema.Check(schema, value)).toBe(true)
    expect(value).toMatchObject({ category: 'billing', sentiment: 'negative' })
  })

  test('json_object gives an object', async () => {
    const reply = await sandbox.client.chat.completions.create({
      ...ask(complaint),
      response_format: { type: 'json_object' },
    })
    expect(JSON.parse(reply.choices[0]?.message.content ?? '')).toMatchObject({ sandbox: true })
  })
})
