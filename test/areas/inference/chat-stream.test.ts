import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf, upstreamCallsOf } from '../../support/chats.ts'
import { eventsOf } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import type { FakeScript } from '../../support/fake-upstream.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'

const db = testDatabase()
const TOOL = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }

const open = ({ api, keyId }: Tenant, script: FakeScript, body: object = {}) =>
  api.open(CHAT, chatOf({ ...script, id: keyId }, { stream: true, ...body }))

/** A whole stream of a new tenant, at the process given: its chunks, and what ended it. */
async function stream(script: FakeScript, body: object = {}, at: { apiUrl?: string } = {}) {
  const tenant = await newTenant(db, at)
  const reply = await open(tenant, script, body)
  expect({ status: reply.status, type: reply.headers.get('content-type') }).toEqual({
    status: 200,
    type: 'text/event-stream; charset=utf-8',
  })
  const events = await eventsOf(reply)
  const last = events.pop() ?? 'nothing'
  return { tenant, reply, chunks: events.map(event => JSON.parse(event)), last }
}

const textIn = (chunks: any[]): string => chunks.map(chunk => chunk.choices[0]?.delta.content ?? '').join('')
const onlyCall = async (tenant: Tenant) => {
  const { calls, ...books } = await booksOf(db, tenant)
  expect(calls).toHaveLength(1)
  return { ...books, call: calls[0] }
}

describe('a stream', () => {
  test('is closed chunks with the public model id, then [DONE]', async () => {
    const { reply, chunks, last } = await stream(
      { reply: 'one two three', extra: { system_fingerprint: 'x' } },
      { model: 'test/external' },
    )
    expect(last).toBe('[DONE]')
    expect(textIn(chunks)).toBe('one two three')
    const requestId = reply.headers.get('x-request-id')
    const head = {
      id: `chatcmpl-${requestId}`,
      object: 'chat.completion.chunk',
      created: chunks[0].created,
      model: 'test/external',
    }
    const choice = (delta: object, finish_reason: string | null = null) => ({
      ...head,
      choices: [{ index: 0, delta, finish_reason }],
    })
    expect(chunks).toEqual([
      choice({ role: 'assistant', content: 'one' }),
      choice({ content: ' two' }),
      choice({ content: ' three' }),
      choice({}, 'stop'),
    ])
    expect(reply.headers.get('x-accel-buffering')).toBe('no')
  })

  test('ends with its usage and cost, where that is asked for', async () => {
    const usage = { prompt_tokens: 30, completion_tokens: 4, total_tokens: 34, cost: 1 }
    const { tenant, reply, chunks, last } = await stream(
      { reply: 'hello', usage },
      { stream_options: { include_usage: true } },
    )
    expect(last).toBe('[DONE]')
    expect(chunks.at(-1)).toEqual({
      id: chunks[0].id,
      object: 'chat.completion.chunk',
      created: chunks[0].created,
      model: 'test/plain',
      choices: [],
      usage: { prompt_tokens: 30, completion_tokens: 4, total_tokens: 34 },
      ipop: {
        request_id: reply.headers.get('x-request-id'),
        latency_ms: expect.any(Number),
        cost_usd: 0.000038,
        cache_hit: false,
        fallback_used: false,
        fallback_count: 0,
        route_class: 'ipop_network',
      },
    })
    expect(chunks.slice(0, -1).every(chunk => chunk.choices.length === 1 && !('usage' in chunk))).toBe(true)
    expect((await onlyCall(tenant)).call).toMatchObject({ status: 'completed', streamed: true, cost_nanos: 38_000n })
  })

  test('asks the upstream for usage in any case, and is recorded before [DONE]', async () => {
    const { tenant, chunks } = await stream(
      { reply: 'hello', usage: { prompt_tokens: 7, completion_tokens: 3 } },
      { stream_options: { include_usage: false } },
    )
    expect(chunks.every(chunk => !('usage' in chunk) && chunk.choices.length === 1)).toBe(true)
    const [call] = await upstreamCallsOf(tenant)
    expect(call?.body).toMatchObject({ stream: true, stream_options: { include_usage: true } })
    expect((await onlyCall(tenant)).call).toMatchObject({ tokens_in: 7, tokens_out: 3, usage_source: 'upstream' })
  })

  test('has tool calls in fragments that make up the whole', async () => {
    const toolCalls = [
      { id: 'call_a', name: 'weather', arguments: '{"city":"Oslo"}' },
      { id: 'call_b', name: 'weather', arguments: '{"city":"Rome"}' },
    ]
    const { chunks, last } = await stream({ toolCalls }, { tools: [TOOL] })
    expect(last).toBe('[DONE]')
    expect(chunks.at(-1).choices[0].finish_reason).toBe('tool_calls')
    const fragments = chunks.flatMap<any>(chunk => chunk.choices[0].delta.tool_calls ?? [])
    expect(fragments).toHaveLength(6)
    const whole = [0, 1].map(index => {
      const own = fragments.filter(fragment => fragment.index === index)
      const [
        {
          id,
          function: { name },
        },
      ] = own as [any]
      return { id, name, arguments: own.map(fragment => fragment.function.arguments).join('') }
    })
    expect(whole).toEqual(toolCalls)
  })
})

describe('a stream that breaks off after its first byte ends with an error event', () => {
  let impatient: ApiProcess
  beforeAll(async () => void (impatient = await spawnApi({ UPSTREAM_IDLE_TIMEOUT_SECONDS: '2' })))
  afterAll(() => impatient.stop())

  test.each<[string, FakeScript, string]>([
    ['the connection is cut', { dieAfterChunks: 2 }, 'one two'],
    ['it ends without [DONE]', { noDone: true }, 'one two three'],
    ['it ends with finish_reason error', { errorFinish: true }, 'one two three'],
    ['an error comes as an event', { errorIn200: true, errorMessage: 'leaked' }, 'one two three'],
    ['an event is not JSON', { malformed: true }, 'one two three'],
    ['it falls silent', { hangAfterChunks: 2 }, 'one two'],
  ])('%s', async (_, script, text) => {
    const { tenant, chunks, last } = await stream(
      { reply: 'one two three', ...script },
      { stream_options: { include_usage: true } },
      { apiUrl: impatient.url },
    )
    expect(textIn(chunks)).toBe(text)
    expect(chunks.some(chunk => 'usage' in chunk || 'error' in chunk)).toBe(false)
    expect(JSON.parse(last)).toEqual({
      error: {
        message: expect.stringMatching(/\w{3}/),
        type: 'upstream_error',
        code: 'service_unavailable',
        param: null,
      },
    })
    expect(last).not.toContain('leaked')
    expect((await onlyCall(tenant)).call).toMatchObject({ status: 'failed', streamed: true, usage_source: 'counted' })
  })
})

describe('before the first byte', () => {
  test.each<[string, FakeScript]>([
    ['an error in a 200', { errorIn200: true, chunks: [], errorMessage: 'leaked' }],
    ['an event that is not JSON', { malformed: true, chunks: [] }],
    ['a cut connection', { dieAfterChunks: 0 }],
  ])('%s is a plain 503', async (_, script) => {
    const tenant = await newTenant(db)
    const reply = await open(tenant, script, { model: 'test/failing' })
    const text = await reply.text()
    expectError({ status: reply.status, headers: reply.headers, text }, 503, { code: 'service_unavailable' })
    expect(text).not.toContain('leaked')
    expect(await onlyCall(tenant)).toMatchObject({ call: { status: 'failed', cost_nanos: 0n }, charges: [] })
  })
})
