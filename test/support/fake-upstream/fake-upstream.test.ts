import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import OpenAI, { APIConnectionError, APIError } from 'openai'
import {
  fakeCalls,
  fakePrompt,
  fakeStats,
  releaseCalls,
  setFakeDefaults,
  startFakeUpstream,
  waitForAbort,
  waitForCalls,
  type FakeScript,
  type RunningFakeUpstream,
} from '../fake-upstream.ts'

let upstream: RunningFakeUpstream
let client: OpenAI
beforeAll(async () => {
  upstream = await startFakeUpstream()
  client = new OpenAI({ baseURL: upstream.url, apiKey: 'secret-key', maxRetries: 0, logLevel: 'off' })
})
afterAll(() => upstream.close())

const messagesFor = (script: FakeScript) => [{ role: 'user' as const, content: fakePrompt(script) }]
const plain = (script: FakeScript, options: { signal?: AbortSignal } = {}) =>
  client.chat.completions.create({ model: 'm', messages: messagesFor(script) }, options)
async function streamed(script: FakeScript) {
  const request = { model: 'm', messages: messagesFor(script), stream_options: { include_usage: true } }
  const chunks = []
  for await (const chunk of await client.chat.completions.create({ ...request, stream: true })) chunks.push(chunk)
  return chunks
}

test('echoes, with usage in words', async () => {
  const request = { model: 'm', messages: [{ role: 'user' as const, content: 'one two three' }] }
  const reply = await client.chat.completions.create(request)
  expect(reply.choices[0]?.message.content).toBe('echo: one two three')
  expect(reply.usage).toEqual({ prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 })
})

test('replies as told, plain and streamed', async () => {
  const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 }
  const script: FakeScript = { reply: 'a b c', usage, toolCalls: [{ name: 'f', arguments: '{"x":1}' }] }
  const reply = await plain(script)
  expect(reply).toMatchObject({ usage, choices: [{ finish_reason: 'tool_calls', message: { content: 'a b c' } }] })
  const chunks = await streamed(script)
  expect(chunks.map(chunk => chunk.choices[0]?.delta.content ?? '').join('')).toBe('a b c')
  const args = chunks.flatMap(chunk => chunk.choices[0]?.delta.tool_calls ?? []).map(call => call.function?.arguments)
  expect(args.join('')).toBe('{"x":1}')
  expect(chunks.at(-1)).toMatchObject({ choices: [], usage })
  expect((await plain({ reply: 'x', noUsage: true })).usage).toBeUndefined()
  for (const content of ['call 1', 'call 2']) {
    const numbered = await plain({ id: 'numbered', numbered: true, chunks: ['call ', '#'] })
    expect(numbered).toMatchObject({ choices: [{ message: { content } }] })
  }
})

describe('failures', () => {
  test('a status with Retry-After, for as many calls as told', async () => {
    const script: FakeScript = { id: randomUUID(), status: 429, retryAfter: 2, failTimes: 2, reply: 'at last' }
    for (let i = 0; i < 2; i++) {
      const error = await plain(script).catch((e: unknown) => e)
      expect(error).toBeInstanceOf(APIError)
      expect((error as APIError).status).toBe(429)
      expect((error as APIError).headers?.get('retry-after')).toBe('2')
    }
    expect((await plain(script)).choices[0]?.message.content).toBe('at last')
    expect(await fakeCalls(upstream.url, script.id ?? '')).toHaveLength(3)
  })

  test('an error or nonsense in a 200', async () => {
    expect(await plain({ errorIn200: true })).toMatchObject({ error: { message: 'fake failure 500' } })
    await expect(streamed({ errorIn200: true, chunks: ['a'] })).rejects.toThrow('fake failure 500')
    await expect(plain({ malformed: true })).rejects.toThrow('JSON')
    await expect(streamed({ malformed: true, chunks: ['a'] })).rejects.toThrow('JSON')
    expect(
      (await streamed({ errorFinish: true })).some(chunk => String(chunk.choices[0]?.finish_reason) === 'error'),
    ).toBe(true)
  })

  test('a connection that dies after some chunks', async () => {
    const received: string[] = []
    const stream = await client.chat.completions.create({
      model: 'm',
      messages: messagesFor({ chunks: ['a', 'b', 'c'], dieAfterChunks: 2 }),
      stream: true,
    })
    const read = async () => {
      for await (const chunk of stream) received.push(chunk.choices[0]?.delta.content ?? '')
    }
    await expect(read()).rejects.toThrow('terminated')
    expect(received).toEqual(['a', 'b'])
    await expect(plain({ dieAfterChunks: 0 })).rejects.toThrow('terminated')
  })
})

describe('records', () => {
  test('a call that its client left is seen as aborted, wherever it hung', async () => {
    for (const hanging of [{ hang: true }, { hangAfterChunks: 1 }, { delayMs: 60_000 }]) {
      const id = randomUUID()
      const abort = new AbortController()
      const call = plain({ id, ...hanging }, { signal: abort.signal }).catch((error: unknown) => error)
      await waitForCalls(upstream.url, id, 1)
      abort.abort()
      expect(await waitForAbort(upstream.url, id)).toMatchObject([{ aborted: true, completed: false }])
      expect(await call).toBeInstanceOf(Error)
    }
  })

  test('hold model, body and headers, but no key', async () => {
    const [id, group] = [randomUUID(), randomUUID()]
    await Promise.all([plain({ id, group }), plain({ group })])
    const [call] = await waitForCalls(upstream.url, id, 1, { what: 'completed' })
    expect(call).toMatchObject({
      model: 'm',
      hadKey: true,
      completed: true,
      aborted: false,
      path: '/v1/chat/completions',
    })
    expect(call?.body.messages).toHaveLength(1)
    expect(call?.bytesSent).toBeGreaterThan(100)
    expect(JSON.stringify(call)).not.toContain('secret-key')
    await waitForCalls(upstream.url, group, 2, { what: 'completed' })
    expect(await fakeStats(upstream.url, group)).toMatchObject({ calls: 2, active: 0, completed: 2 })
  })

  test('waiting for what does not come ends with an error', async () => {
    await expect(waitForAbort(upstream.url, randomUUID(), 20)).rejects.toThrow('not so in time')
  })
})

describe('a call that is held', () => {
  test('is answered once its id is released, and so are those after it', async () => {
    const script: FakeScript = { id: randomUUID(), held: true, reply: 'at last' }
    const first = plain(script)
    await waitForCalls(upstream.url, script.id ?? '', 1)
    expect((await fakeCalls(upstream.url, script.id ?? ''))[0]?.endedAt).toBeNull()
    await releaseCalls(upstream.url, script.id ?? '')
    for (const reply of [await first, await plain(script)]) expect(reply.choices[0]?.message.content).toBe('at last')
  })

  test('midway gives what comes before', async () => {
    const script: FakeScript = { id: randomUUID(), heldAfterChunks: 1, reply: 'one two' }
    const stream = await client.chat.completions.create({ model: 'm', messages: messagesFor(script), stream: true })
    let text = ''
    for await (const chunk of stream) {
      text += chunk.choices[0]?.delta?.content ?? ''
      if (text === 'one') await releaseCalls(upstream.url, script.id ?? '')
    }
    expect(text).toBe('one two')
  })
})

test('embeddings, models, defaults', async () => {
  const reply = await client.embeddings.create({ model: 'e', input: ['a b', 'c'], dimensions: 4 })
  expect(reply.data.map(item => item.embedding.length)).toEqual([4, 4])
  expect(reply.usage).toEqual({ prompt_tokens: 3, total_tokens: 3 })
  await expect(client.embeddings.create({ model: 'e', input: fakePrompt({ status: 500 }) })).rejects.toThrow('500')
  expect((await client.models.list()).data).toHaveLength(1)
  await setFakeDefaults(upstream.url, { delayMs: 50 })
  const startedAt = performance.now()
  await plain({})
  expect(performance.now() - startedAt).toBeGreaterThan(45)
})

test('closing ends calls that hang', async () => {
  const other = await startFakeUpstream()
  const otherClient = new OpenAI({ baseURL: other.url, apiKey: 'k', maxRetries: 0 })
  const id = randomUUID()
  const call = otherClient.chat.completions.create({ model: 'm', messages: messagesFor({ id, hang: true }) })
  await waitForCalls(other.url, id, 1)
  await Promise.all([other.close(), expect(call).rejects.toThrow(APIConnectionError)])
})
