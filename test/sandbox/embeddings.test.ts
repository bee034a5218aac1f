import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { encode } from 'gpt-tokenizer/encoding/cl100k_base'
import { countTextTokens } from '../../infra/tokenizer/text-tokens.ts'
import { startTestSandbox, type TestSandbox } from './sandbox.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await startTestSandbox()
})
afterAll(() => sandbox.close())

type Input = string | string[] | number[] | number[][]
async function embed(input: Input, options: { dimensions?: number; encoding_format?: 'float' | 'base64' } = {}) {
  const reply = await sandbox.client.embeddings.create({ model: 'terminaili/embed-balanced', input, ...options })
  return reply.data.map(item => item.embedding)
}
const dot = (a: number[] = [], b: number[] = []): number => a.reduce((total, x, i) => total + x * (b[i] ?? 0), 0)

test.each([
  ['I was charged twice on my invoice', 'my invoice charged me two times', 'the app crashes when I open settings'],
  ['how do I reset my password', 'password reset does not work', 'where is my parcel'],
  ['The cat sat on the mat', 'cats sitting on mats', 'quarterly revenue rose by ten percent'],
  ['請求書の支払い方法', '請求書の支払いについて', '天気がいいですね'],
])('%j is nearer to %j than to %j', async (text, similar, different) => {
  const [a, b, c] = await embed([text, similar, different])
  expect(dot(a, b)).toBeGreaterThan(dot(a, c) + 0.1)
})

test('vectors have unit length, the dimensions asked for, and are the same each time', async () => {
  for (const [dimensions, options] of [
    [256, {}],
    [64, { dimensions: 64 }],
    [1536, { dimensions: 1536 }],
  ] as const) {
    const [a] = await embed('Hello world', options)
    const [b] = await embed('Hello world', options)
    expect(a).toHaveLength(dimensions)
    expect(dot(a, a)).toBeCloseTo(1, 5)
    expect(a).toEqual(b)
  }
  const [emoji] = await embed('🙂!')
  expect(dot(emoji, emoji)).toBeCloseTo(1, 5)
})

test('base64 and float are the same numbers', async () => {
  const [float] = await embed('Hello world', { encoding_format: 'float' })
  const [decodedByClient] = await embed('Hello world')
  expect(decodedByClient).toEqual(float)
  const raw = await sandbox.post('/embeddings', { model: 'm', input: 'Hello world', encoding_format: 'base64' })
  const { data } = (await raw.json()) as { data: { embedding: string }[] }
  const bytes = Buffer.from(data[0]?.embedding ?? '', 'base64')
  expect(Array.from({ length: 256 }, (_, i) => bytes.readFloatLE(i * 4))).toEqual(float)
})

test('token ids mean their text', async () => {
  const tokens = encode('Hello world')
  const [fromText] = await embed('Hello world')
  expect(await embed(tokens)).toEqual([fromText])
  expect(await embed([tokens, encode('other')])).toHaveLength(2)
})

test('usage counts the tokens of all texts', async () => {
  const reply = await sandbox.client.embeddings.create({ model: 'm', input: ['Hello world', 'Again'] })
  const tokens = countTextTokens('Hello world') + countTextTokens('Again')
  expect(reply.usage).toEqual({ prompt_tokens: tokens, total_tokens: tokens })
})

test.each([
  ['an empty text', { model: 'm', input: '' }, 'input'],
  ['no text', { model: 'm', input: [] }, 'input'],
  ['an object', { model: 'm', input: {} }, 'input'],
  ['no model', { input: 'x' }, 'model'],
  ['no dimensions', { model: 'm', input: 'x', dimensions: 0 }, 'dimensions'],
  ['another encoding', { model: 'm', input: 'x', encoding_format: 'hex' }, 'encoding_format'],
])('%s is a 400', async (_, body, param) => {
  const response = await sandbox.post('/embeddings', body)
  expect(response.status).toBe(400)
  expect(await response.json()).toMatchObject({ error: { param } })
})
