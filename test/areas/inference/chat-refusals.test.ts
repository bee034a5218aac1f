import { describe, expect, test } from '@jest/globals'
import { CHAT, chatOf, partsOf, tryChat, upstreamCallsOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import type { FakeScript } from '../../support/fake-upstream.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const TOOL = { type: 'function', function: { name: 'weather', parameters: { type: 'object' } } }
const SCHEMA = { type: 'json_schema', json_schema: { name: 'answer', schema: { type: 'object' } } }
const schemaOf = (json_schema: unknown) => ({ response_format: { type: 'json_schema', json_schema } })
const LONG = 'one two three four five six seven eight nine ten '.repeat(20)
const bare = (body: object) => ({ model: 'test/bare', ...body })

interface Wanted {
  code?: string
  type?: string
  param?: string
}

/** The request is refused as wanted, plain and streamed, and leaves no trace: no upstream call, no record. */
async function expectRefusal(body: object, status: number, wanted: Wanted, script: FakeScript = {}): Promise<void> {
  for (const stream of [false, true]) {
    const { tenant, reply, calls } = await tryChat(db, { ...body, stream }, script)
    expectError(reply, status, { code: 'bad_request', ...wanted })
    expect(reply.headers.get('x-should-retry')).toBe(status === 409 ? 'false' : null)
    expect(calls).toEqual([])
    expect((await tenant.api.get('/usage')).body.total_requests).toBe(0)
  }
}

describe('refused before any upstream is called:', () => {
  test.each<[string, object, string]>([
    ['an unknown format', { response_format: { type: 'xml' } }, 'response_format.type'],
    ['a format that is text', { response_format: 'json' }, 'response_format.type'],
    ['a format without a type', { response_format: {} }, 'response_format.type'],
    ['no schema at all', schemaOf(undefined), 'response_format.json_schema.name'],
    ['a schema without a name', schemaOf({ schema: {} }), 'response_format.json_schema.name'],
    ['a schema of a bad name', schemaOf({ name: 'a b', schema: {} }), 'response_format.json_schema.name'],
    ['a name without a schema', schemaOf({ name: 'a' }), 'response_format.json_schema.schema'],
    ['a schema that is a list', schemaOf({ name: 'a', schema: [] }), 'response_format.json_schema.schema'],
    ['an unknown effort', { reasoning_effort: 'extreme' }, 'reasoning_effort'],
    ['no completion tokens', { max_completion_tokens: 0 }, 'max_completion_tokens'],
    ['a tool without a name', { tools: [{ type: 'function', function: {} }] }, 'tools.0.function.name'],
    ['a tool of an unknown type', { tools: [TOOL, { type: 'magic' }] }, 'tools.1.type'],
    ['usage that is no flag', { stream_options: { include_usage: 'yes' } }, 'stream_options'],
  ])('%s', async (_, body, param) => {
    await expectRefusal(body, 400, {
      type: param.startsWith('tools.1') ? 'unsupported_tool' : 'invalid_request',
      param,
    })
  })

  test.each<[string, object, string, string]>([
    ['a schema', bare({ response_format: SCHEMA }), 'json_schema', 'response_format'],
    ['tools', bare({ tools: [TOOL] }), 'tools', 'tools.0'],
    ['a chat', { model: 'test/embed' }, 'chat', 'model'],
  ])('%s where the model cannot', async (_, body, capability, param) => {
    await expectRefusal(body, 400, { type: `model_does_not_support_${capability}`, param })
  })

  test('an image where the model is blind, or where it is none', async () => {
    const tenant = await newTenant(db)
    const send = (model: string, url: string) => {
      const message = partsOf({ id: tenant.keyId }, { type: 'image_url', image_url: { url } })
      return tenant.api.post(CHAT, { model, messages: [message] })
    }
    expectError(await send('test/bare', 'data:image/png;base64,AAAA'), 400, {
      type: 'model_does_not_support_vision',
      param: 'messages.0.content.1',
    })
    expectError(await send('test/plain', 'file:///etc/passwd'), 400, { param: 'messages.0.content.1.image_url.url' })
    expect(await upstreamCallsOf(tenant)).toEqual([])
  })

  test('file_search, by its name', async () => {
    const { reply, calls } = await tryChat(db, { tools: [TOOL, { type: 'file_search', vector_store_ids: ['x'] }] })
    const error = expectError(reply, 400, { code: 'bad_request', type: 'unsupported_tool', param: 'tools.1' })
    expect(error.error).toContain('file_search')
    expect(calls).toEqual([])
  })

  test('an input that is certainly too long', async () => {
    const wanted = { code: 'context_length_exceeded', type: 'context_length_exceeded', param: 'messages' }
    await expectRefusal({ model: 'test/small-window' }, 400, wanted, { reply: LONG })
  })

  test.each<[string, string, number, Wanted]>([
    ['an unknown model', 'test/none', 404, { type: 'model_not_found' }],
    ['a model that is not enabled', 'test/unrouted', 409, { type: 'model_not_enabled' }],
  ])('%s', async (_, model, status, wanted) => {
    await expectRefusal({ model }, status, { code: 'model_unavailable', param: 'model', ...wanted })
  })

  test('a model that the key may not use', async () => {
    const { reply, calls, tenant } = await tryChat(db, {}, {}, { allowedModels: ['test/external', 'test/bare'] })
    expectError(reply, 403, { code: 'model_not_allowed', type: 'model_not_allowed', param: 'model' })
    expect(calls).toEqual([])
    expect((await tenant.api.post(CHAT, chatOf({}, { model: 'test/bare' }))).status).toBe(200)
  })

  test('a provider outside, where the key allows none', async () => {
    const { reply, calls, tenant } = await tryChat(db, { model: 'test/external' }, {}, { externalProcessing: false })
    expectError(reply, 409, { code: 'capacity_unavailable', param: 'model' })
    expect(calls).toEqual([])
    expect((await tenant.api.post(CHAT, chatOf({}))).status).toBe(200)
  })
})

describe('an input that may fit', () => {
  test('is left to the upstream, whose refusal is passed on, in our words', async () => {
    const errorMessage = 'deployment eu-7 of org-4711: maximum context length is 8192 tokens; you requested 9000 tokens'
    const script = { status: 400, errorCode: 'context_length_exceeded', errorMessage }
    const { reply, calls, tenant } = await tryChat(db, {}, script)
    const wanted = { code: 'context_length_exceeded', param: 'messages' }
    expect(expectError(reply, 400, wanted).message).toBe(
      'The request is too long for the model: 8192 tokens at most, 9000 were asked for.',
    )
    expect(calls).toHaveLength(1)
    expect((await tenant.api.get('/usage')).body.total_cost).toBe(0)
  })

  test('is taken by a small window', async () => {
    const { reply, calls } = await tryChat(db, { model: 'test/small-window' })
    expect({ status: reply.status, calls: calls.length }).toEqual({ status: 200, calls: 1 })
  })
})
