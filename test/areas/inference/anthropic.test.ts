import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import OpenAI from 'openai'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { booksOf } from '../../support/books.ts'
import { CHAT } from '../../support/chats.ts'
import { eventsOf } from '../../support/client.ts'
import { CREDENTIALS, newCredential } from '../../support/credentials.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import {
  documentedErrors,
  eventText,
  exchange,
  replyWith,
  startAnthropic,
  type ExchangeName,
  type FakeAnthropic,
  type Fields,
} from '../../support/fake-anthropic.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const KEY = 'sk-ant-test-0123456789'

let lenient: ApiProcess
let anthropic: FakeAnthropic
beforeAll(async () => {
  lenient = await spawnApi({ OUTBOUND_ALLOW_PRIVATE: 'true' })
  anthropic = await startAnthropic()
})
beforeEach(() => void anthropic.seen())
afterAll(async () => {
  await lenient.stop()
  await anthropic.close()
})

async function withOwnKey(): Promise<{ tenant: Tenant; credentialId: string }> {
  const tenant = await newTenant(db, { apiUrl: lenient.url })
  const { id } = await newCredential(tenant.api, { provider: 'anthropic', api_key: KEY, base_url: anthropic.url })
  return { tenant, credentialId: id }
}
const OWN_ONLY = { byok_fallback_policy: 'byok_only' }
/** The exchange's request as a caller sends it. */
const bodyOf = (name: ExchangeName, changes: Fields = {}): Fields => {
  const { prompt_cache: _ours, ...request } = exchange(name).request.openai
  return { ...request, model: 'test/claude', metadata: OWN_ONLY, ...changes }
}
const errorOf = (status: number, words = '') => {
  const found = documentedErrors().find(error => error.status === status && error.body['error'].message.includes(words))
  if (found === undefined) throw new Error(`no documented error ${status}`)
  return found
}

async function expectUncharged(tenant: Tenant, credentialId: string, recorded: Fields): Promise<void> {
  const { calls, charges, balanceNanos, entriesNanos } = await booksOf(db, tenant)
  const [call, ...others] = calls
  expect(others).toEqual([])
  expect(call).toMatchObject({
    status: 'completed',
    upstream: 'byok-anthropic',
    upstream_model: 'claude-sonnet-4-6',
    credential_id: credentialId,
    provider_billed: true,
    usage_source: 'upstream',
    cost_nanos: 0n,
    ...recorded,
  })
  expect({ charges, balanceNanos, entriesNanos }).toEqual({
    charges: [],
    balanceNanos: 10_000_000_000n,
    entriesNanos: 10_000_000_000n,
  })
}

describe("over a user's own key of Anthropic", () => {
  test('a chat is asked and answered in its format, recorded, and costs no credit', async () => {
    const { tenant, credentialId } = await withOwnKey()
    anthropic.next('text')
    const { status, body } = await tenant.api.post(CHAT, bodyOf('text'))
    const { openai } = exchange('text').reply
    expect(status).toBe(200)
    expect(body).toMatchObject({ model: 'test/claude', object: 'chat.completion', choices: openai['choices'] })
    expect(body.usage).toMatchObject({ prompt_tokens: 34, completion_tokens: 7, total_tokens: 41 })
    expect(body.ipop.cost_usd).toBe(0)
    const [sent] = anthropic.seen()
    expect(sent?.body).toEqual(exchange('text').request.anthropic)
    expect(sent?.headers).toMatchObject({ 'x-api-key': KEY, 'anthropic-version': '2023-06-01' })
    await expectUncharged(tenant, credentialId, { streamed: false, tokens_in: 34, tokens_out: 7 })
  })

  test('a stream with calls of tools is the same to a client of OpenAI', async () => {
    const { tenant, credentialId } = await withOwnKey()
    anthropic.next('tool-use')
    const client = new OpenAI({ apiKey: tenant.secret, baseURL: `${lenient.url}/v1`, maxRetries: 0 })
    const request = bodyOf('tool-use', { stream_options: { include_usage: true } })
    const stream = client.chat.completions.stream(request as never)
    const completion = await stream.finalChatCompletion()
    const { message, finish_reason } = exchange('tool-use').reply.openai['choices'][0] as Fields
    expect(completion.choices[0]?.finish_reason).toBe(finish_reason)
    expect(completion.choices[0]?.message.content).toBe(message.content)
    expect(completion.choices[0]?.message.tool_calls).toMatchObject(message.tool_calls)
    expect(completion.usage).toMatchObject({ prompt_tokens: 412, completion_tokens: 88 })
    expect(anthropic.seen()[0]?.body).toEqual({ ...exchange('tool-use').request.anthropic, stream: true })
    await expectUncharged(tenant, credentialId, { streamed: true, tokens_in: 412, tokens_out: 88 })
  })

  test('thinking goes back as it came, with the results of the tools that it called', async () => {
    const { tenant, credentialId } = await withOwnKey()
    anthropic.next('thinking')
    const first = await tenant.api.post(CHAT, bodyOf('thinking'))
    const { message } = first.body.choices[0]
    expect(message.reasoning).toContain('I call the tool')
    expect(first.body.usage.completion_tokens_details).toEqual({ reasoning_tokens: 64 })
    await expectUncharged(tenant, credentialId, { tokens_out: 130, reasoning_tokens: 64 })
    anthropic.next('text')
    anthropic.seen()
    const messages = [
      { role: 'user', content: 'x' },
      message,
      { role: 'tool', tool_call_id: message.tool_calls[0].id, content: 'done' },
    ]
    expect((await tenant.api.post(CHAT, bodyOf('thinking', { messages }))).status).toBe(200)
    const turns = anthropic.seen()[0]?.body['messages'] as Fields[] | undefined
    expect(turns?.[1]?.['content']).toEqual(exchange('thinking').reply.anthropic['content'])
  })

  test('the prompt is cached as the metadata says; cached input is told and recorded', async () => {
    const { tenant, credentialId } = await withOwnKey()
    anthropic.next('prompt-caching')
    const metadata = { ...OWN_ONLY, prompt_cache_policy: 'auto', prompt_cache_ttl: '1h' }
    const { body } = await tenant.api.post(CHAT, bodyOf('prompt-caching', { metadata }))
    expect(body.usage.prompt_tokens_details.cached_tokens).toBe(100_000)
    expect(anthropic.seen()[0]?.body).toEqual(exchange('prompt-caching').request.anthropic)
    await expectUncharged(tenant, credentialId, { tokens_in: 100_501, cached_tokens: 100_000 })
  })

  test('images and schemas pass', async () => {
    const { tenant } = await withOwnKey()
    for (const name of ['vision', 'structured-output'] as const) {
      anthropic.next(name)
      const { status, body } = await tenant.api.post(CHAT, bodyOf(name))
      expect({ status, choices: body.choices }).toMatchObject({
        status: 200,
        choices: exchange(name).reply.openai['choices'],
      })
      expect(anthropic.seen()[0]?.body).toEqual(exchange(name).request.anthropic)
    }
  })
})

describe('what Anthropic refuses', () => {
  test('as too long is a context that is too long', async () => {
    const { tenant } = await withOwnKey()
    const { status, body } = errorOf(400, 'prompt is too long')
    anthropic.nextWith(response => replyWith(response, status, body))
    const reply = await tenant.api.post(CHAT, bodyOf('text'))
    expectError(reply, 400, { code: 'context_length_exceeded', param: 'messages' })
  })

  test('cannot be told in its format, and the caller learns the field', async () => {
    const { tenant } = await withOwnKey()
    const { message } = expectError(await tenant.api.post(CHAT, bodyOf('text', { n: 2 })), 400, {
      type: 'rejected_by_model',
    })
    expect(message).toContain('`n`')
    expect(anthropic.seen()).toEqual([])
  })

  test('of the key marks the credential; the next route answers', async () => {
    const { tenant } = await withOwnKey()
    const { status, body } = errorOf(401)
    anthropic.nextWith(response => replyWith(response, status, body))
    expect((await tenant.api.post(CHAT, bodyOf('text', { metadata: {} }))).status).toBe(200)
    const [view] = await until(async () => {
      const { body: views } = await tenant.api.get(CREDENTIALS)
      return views[0].health === 'error' && views
    })
    expect(view.last_error).toBe('refused (401 authentication_error)')
  })

  test('before a stream begins leaves the next route to answer', async () => {
    const { tenant } = await withOwnKey()
    const { body } = errorOf(529)
    anthropic.nextWith(response => response.writeHead(200).end(eventText([{ type: 'ping' }, body])))
    const reply = await tenant.api.open(CHAT, bodyOf('text', { metadata: {}, stream: true }))
    expect(reply.status).toBe(200)
    expect((await eventsOf(reply)).at(-1)).toBe('[DONE]')
    expect((await booksOf(db, tenant)).calls).toMatchObject([{ upstream: 'fake-a', fallback_count: 1 }])
  })

  test('within a stream ends it with an error, never with [DONE]', async () => {
    const { tenant } = await withOwnKey()
    const told = exchange('text').stream?.anthropic.slice(0, 4) ?? []
    anthropic.nextWith(response => response.writeHead(200).end(eventText([...told, errorOf(529).body])))
    const events = await eventsOf(await tenant.api.open(CHAT, bodyOf('text', { stream: true })))
    expect(JSON.parse(events.at(-1) ?? '')).toMatchObject({ error: { type: 'upstream_error' } })
    expect(events).not.toContain('[DONE]')
  })
})
