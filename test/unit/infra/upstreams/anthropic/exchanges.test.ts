import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import Anthropic from '@anthropic-ai/sdk'
import { createOutbound } from '../../../../../infra/outbound/outbound.ts'
import { createUpstreamClient } from '../../../../../infra/upstreams/client/client.ts'
import type { UpstreamClient, UpstreamSettings } from '../../../../../infra/upstreams/upstream.ts'
import type { Chunk } from '../../../../../infra/upstreams/chunk.ts'
import {
  exchange,
  expectChunks,
  EXCHANGES,
  startAnthropic,
  type FakeAnthropic,
  type Fields,
} from '../../../../support/fake-anthropic.ts'
import { LARGE_HERE } from '../../../../support/threads-here.ts'

let server: FakeAnthropic
let client: UpstreamClient
let upstream: UpstreamSettings
const outbound = createOutbound({ allowPrivate: false })
beforeAll(async () => {
  server = await startAnthropic()
  client = createUpstreamClient({ replyTimeoutMs: 60_000, idleTimeoutMs: 60_000 }, outbound, LARGE_HERE)
  upstream = { id: 'byok', baseUrl: server.url, apiKey: 'sk-ant-test', external: true, wire: 'anthropic' }
})
afterAll(async () => {
  await server.close()
  await client.close()
  await outbound.close()
})

const streamed = EXCHANGES.filter(name => exchange(name).stream !== undefined)
const call = (body: Fields) => ({ path: '/chat/completions' as const, body, signal: new AbortController().signal })
const withoutTime = ({ created, ...rest }: Fields): Fields => {
  expect(Math.abs(Date.now() / 1000 - created)).toBeLessThan(60)
  return rest
}
async function chunksOf(body: Fields): Promise<Chunk[]> {
  const chunks: Chunk[] = []
  const { events } = await client.events(upstream, call(body))
  for await (const together of events) chunks.push(...together)
  return chunks
}

describe.each(EXCHANGES)('the exchange %s', name => {
  const { request, reply } = exchange(name)

  test('is translated both ways', async () => {
    server.next(name)
    const { json } = await client.json(upstream, call(request.openai))
    expect(withoutTime(json)).toEqual(reply.openai)
    const sent = server.seen().at(-1)
    expect(sent?.body).toEqual(request.anthropic)
    expect(sent?.url).toBe('/v1/messages')
    expect(sent?.headers).toMatchObject({
      'x-api-key': 'sk-ant-test',
      'anthropic-version': '2023-06-01',
      'content-type': 'application/json',
    })
    expect(sent?.headers).not.toHaveProperty('authorization')
  })
})

describe.each(streamed)('the stream of %s', name => {
  const { request, stream } = exchange(name)
  const body = { ...request.openai, stream: true, stream_options: { include_usage: true } }

  test('is translated both ways', async () => {
    server.next(name)
    expectChunks(await chunksOf(body), stream?.openai ?? [])
    expect(server.seen().at(-1)?.body).toEqual({ ...request.anthropic, stream: true })
  })
})

// The fixtures are in the form that Anthropic's own client reads, and what we read of them is what it reads.
describe("Anthropic's own client reads the same", () => {
  const sdk = () => new Anthropic({ apiKey: 'sk-ant-test', baseURL: server.url.replace('/v1', ''), maxRetries: 0 })
  const ask = { model: 'claude-sonnet-4-6', max_tokens: 10, messages: [{ role: 'user' as const, content: 'x' }] }

  test.each(EXCHANGES)('of the reply %s', async name => {
    server.next(name)
    const message = await sdk().messages.create(ask)
    expectSame(message, exchange(name).reply.openai['choices'][0].message)
  })

  test.each(streamed)('of the stream %s', async name => {
    server.next(name)
    const message = await sdk().messages.stream(ask).finalMessage()
    server.next(name)
    const chunks = await chunksOf({ ...exchange(name).request.openai, stream: true })
    expectSame(message, assembled(chunks))
  })

  function expectSame(message: Anthropic.Message, ours: Fields): void {
    const texts = message.content.flatMap(block => (block.type === 'text' ? [block.text] : []))
    const thoughts = message.content.flatMap(block => (block.type === 'thinking' ? [block] : []))
    const uses = message.content.flatMap(block => (block.type === 'tool_use' ? [block] : []))
    expect(ours['content'] ?? '').toBe(texts.join(''))
    expect(ours['reasoning'] ?? '').toBe(thoughts.map(({ thinking }) => thinking).join(''))
    const calls = (ours['tool_calls'] ?? []) as Fields[]
    expect(calls.map(({ id, function: { name, arguments: text } }) => ({ id, name, input: JSON.parse(text) }))).toEqual(
      uses.map(({ id, name, input }) => ({ id, name, input })),
    )
    const signatures = ((ours['reasoning_details'] ?? []) as Fields[]).flatMap(detail => detail['signature'] ?? [])
    expect(signatures).toEqual(thoughts.map(({ signature }) => signature))
  }

  function assembled(chunks: Chunk[]): Fields {
    const deltas = chunks.flatMap(chunk => chunk.choices.map((choice: Fields) => choice['delta']) as Fields[])
    const joined = (name: string) => deltas.map(delta => delta[name] ?? '').join('')
    const calls: Fields[] = []
    for (const { index, id, function: part } of deltas.flatMap(delta => (delta['tool_calls'] ?? []) as Fields[])) {
      calls[index] ??= { id, function: { name: part.name, arguments: '' } }
      calls[index]['function'].arguments += part.arguments
    }
    const details = deltas.flatMap(delta => (delta['reasoning_details'] ?? []) as Fields[])
    return { content: joined('content'), reasoning: joined('reasoning'), tool_calls: calls, reasoning_details: details }
  }
})
