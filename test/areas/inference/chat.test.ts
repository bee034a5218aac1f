import { describe, expect, test } from '@jest/globals'
import { Value } from 'typebox/value'
import { ChatCompletionResponse } from '../../../domain/inference/chat-request/chat.schema.ts'
import { CHAT, chatOf, contentOf, partsOf, tryChat, upstreamCallsOf } from '../../support/chats.ts'
import { apiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const TOOL = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }
const SCHEMA = { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' } } }

describe('a plain reply', () => {
  test('is closed, whatever the upstream adds, and tells the truth', async () => {
    const usage = { prompt_tokens: 1_000, completion_tokens: 100, total_tokens: 1_100, cost: 0.5, is_byok: false }
    const { reply, calls } = await tryChat(
      db,
      {},
      { reply: 'hello', usage, extra: { system_fingerprint: 'x', secret: 'y' } },
    )
    expect(reply.status).toBe(200)
    expect([...Value.Errors(ChatCompletionResponse, reply.body)]).toEqual([])
    const requestId = reply.headers.get('x-request-id')
    expect(reply.body).toEqual({
      id: `chatcmpl-${requestId}`,
      object: 'chat.completion',
      created: expect.any(Number),
      model: 'test/plain',
      choices: [
        {
          index: 0,
          message: { role: 'assistant', content: 'hello', refusal: null },
          finish_reason: 'stop',
          logprobs: null,
        },
      ],
      usage: { prompt_tokens: 1_000, completion_tokens: 100, total_tokens: 1_100 },
      ipop: {
        request_id: requestId,
        latency_ms: expect.any(Number),
        cost_usd: 0.0012,
        cache_hit: false,
        fallback_used: false,
        fallback_count: 0,
        route_class: 'ipop_network',
      },
    })
    expect(Math.abs(reply.body.created - Date.now() / 1000)).toBeLessThan(60)
    expect(calls).toHaveLength(1)
  })

  test('over a provider outside says so, by the public model id', async () => {
    const { reply, calls } = await tryChat(db, { model: 'test/external' })
    expect(reply.body).toMatchObject({ model: 'test/external', ipop: { route_class: 'external_capacity' } })
    expect(calls.map(call => call.model)).toEqual(['external'])
  })

  test('has parallel tool calls as the upstream made them', async () => {
    const toolCalls = [
      { id: 'call_a', name: 'weather', arguments: '{"city":"Oslo"}' },
      { id: 'call_b', name: 'weather', arguments: '{"city":"Rome"}' },
    ]
    const { reply, calls } = await tryChat(db, { tools: [TOOL], tool_choice: 'auto' }, { toolCalls })
    expect(reply.body.choices[0].finish_reason).toBe('tool_calls')
    expect(reply.body.choices[0].message.tool_calls).toEqual(
      toolCalls.map(({ id, ...fn }) => ({ id, type: 'function', function: fn })),
    )
    expect(calls[0]?.body).toMatchObject({ tools: [TOOL], tool_choice: 'auto' })
  })
})

/** The limit of a call that names none: the model gives no more. */
const UNSTATED = { max_tokens: 1_000, max_completion_tokens: 1_000 }

describe('the upstream gets', () => {
  test('what steers it, and nothing of ours or that could cost more', async () => {
    const passed = { temperature: 0.2, top_p: 0.9, seed: 7, logit_bias: { 5: 1 } }
    const ours = { metadata: { session_id: 's', sensitive: true }, service_tier: 'priority' }
    // By these an upstream would take another model than the one that is checked and priced, or sell more.
    const choosing = {
      models: ['dearer'],
      route: 'fallback',
      provider: { order: ['x'] },
      plugins: [{ id: 'web' }],
      best_of: 9,
      x_new: [1],
    }
    const { tenant, calls } = await tryChat(db, { ...passed, ...ours, ...choosing })
    const { messages } = chatOf({ id: tenant.keyId })
    expect(calls.map(call => call.body)).toEqual([{ ...passed, ...UNSTATED, messages, model: 'test/plain' }])
    expect(JSON.stringify(calls[0]?.headers)).not.toContain(tenant.secret)
  })

  test.each<[string, object]>([
    ['an effort of none', { reasoning_effort: 'none' }],
    ['a minimal effort', { reasoning_effort: 'minimal' }],
    ['an extra high effort', { reasoning_effort: 'xhigh' }],
    ['a schema', { response_format: SCHEMA }],
    ['JSON mode', { response_format: { type: 'json_object' } }],
    ['tools', { tools: [TOOL], tool_choice: { type: 'function', function: { name: 'weather' } } }],
  ])('%s as it was given', async (_, given) => {
    const { reply, calls } = await tryChat(db, given)
    expect(reply.status).toBe(200)
    expect(calls[0]?.body).toEqual({ ...given, ...UNSTATED, model: 'test/plain', messages: calls[0]?.body.messages })
  })

  test('an image part as it was given', async () => {
    const tenant = await newTenant(db)
    const image = { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } }
    const message = partsOf({ id: tenant.keyId }, image)
    const reply = await tenant.api.post(CHAT, { model: 'test/plain', messages: [message] })
    expect(reply.status).toBe(200)
    expect((await upstreamCallsOf(tenant))[0]?.body.messages).toEqual([message])
  })
})

describe('the key', () => {
  test.each<[string, (secret: string) => Record<string, string>]>([
    ['x-api-key', secret => ({ 'x-api-key': secret })],
    ['Authorization: Bearer', secret => ({ authorization: `Bearer ${secret}` })],
    ['Authorization: bearer', secret => ({ authorization: `bearer ${secret}` })],
    ['x-api-key before Authorization', secret => ({ 'x-api-key': secret, authorization: 'Bearer other' })],
  ])('is taken from %s', async (_, headers) => {
    const { secret } = await newTenant(db)
    const reply = await apiClient(undefined).post(CHAT, chatOf({ reply: 'yes' }), headers(secret))
    expect({ status: reply.status, text: contentOf(reply.body) }).toEqual({ status: 200, text: 'yes' })
  })

  test('is needed', async () => {
    const nobody = apiClient(undefined)
    for (const headers of [{}, { authorization: 'Basic eDp5' }, { 'x-api-key': 'sk-wrong' }]) {
      expectError(await nobody.post(CHAT, chatOf({}), headers), 401, { code: 'unauthorized' })
    }
  })
})
