import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import OpenAI from 'openai'
import { spawnApi, type ApiProcess } from '../support/api-process.ts'
import { testDatabase } from '../support/database.ts'
import { expectError } from '../support/errors.ts'
import { fakePrompt } from '../support/fake-upstream.ts'
import { rawExchange, rawRequest, repliesIn } from '../support/raw-request.ts'
import { servedDocument } from '../support/served-document.ts'
import { testStack } from '../support/stack.ts'
import { newTenant } from '../support/tenants.ts'

const db = testDatabase()
const { apiUrl } = testStack()
const document = await servedDocument()
const ORIGIN = 'https://app.example.com'
/** What the SDK's build for browsers asks to send. */
const SDK_HEADERS =
  'authorization,content-type,x-stainless-arch,x-stainless-lang,x-stainless-os,x-stainless-package-version,' +
  'x-stainless-retry-count,x-stainless-runtime,x-stainless-runtime-version,x-stainless-timeout'
const preflight = (method: string, headers = SDK_HEADERS) => ({
  origin: ORIGIN,
  'access-control-request-method': method,
  'access-control-request-headers': headers,
})
const allowsAny = { 'access-control-allow-origin': '*' }

describe('a preflight', () => {
  test.each(document.operations.map(({ method, path }) => [method, path] as const))(
    'of %s %s needs no key',
    async (method, path) => {
      const reply = await rawRequest('OPTIONS', path.replaceAll(/\{\w+\}/g, 'any'), { headers: preflight(method) })
      expect([reply.status, reply.text]).toEqual([204, ''])
      expect(reply.headers).toMatchObject(allowsAny)
      expect(reply.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/)
      expect(reply.headers['access-control-allow-methods']?.split(', ')).toContain(method)
      expect(reply.headers['access-control-allow-headers']?.split(', ')).toEqual(SDK_HEADERS.split(','))
    },
  )

  test('costs nothing of a limit', async () => {
    const { secret, api } = await newTenant(db, { requestsPerMinute: 1 })
    const headers = { ...preflight('GET'), 'x-api-key': secret }
    for (let time = 0; time < 5; time += 1) {
      expect((await rawRequest('OPTIONS', '/files', { headers })).status).toBe(204)
    }
    expect((await api.get('/files')).status).toBe(200)
    expect((await api.get('/files')).status).toBe(429)
  })

  test('of a wrong path passes, so that a page can read what is said of it', async () => {
    const reply = await rawRequest('OPTIONS', '/v1/chat/completions', { headers: preflight('POST') })
    expect(reply.status).toBe(204)
  })
})

describe('a page may read', () => {
  async function expectReadable(method: string, path: string, status: number, options: object = {}) {
    const { secret } = await newTenant(db)
    const headers = {
      origin: ORIGIN,
      authorization: `Bearer ${secret}`,
      'content-type': 'application/json',
      ...options,
    }
    const body = method === 'POST' ? JSON.stringify(chat({ reply: 'hi' }, path.includes('stream'))) : undefined
    const reply = await rawRequest(method, path, { headers, ...(body === undefined ? {} : { body }) })
    expect(reply.status).toBe(status)
    expect(reply.headers).toMatchObject(allowsAny)
    expect(reply.headers['access-control-expose-headers']).toContain('x-request-id')
    return reply
  }
  const chat = (script: Parameters<typeof fakePrompt>[0], stream: boolean) => ({
    model: 'test/plain',
    stream,
    messages: [{ role: 'user', content: fakePrompt(script) }],
  })

  test.each([
    ['a reply', 'POST', '/chat/completions', 200, {}],
    ['a stream', 'POST', '/chat/completions?stream', 200, {}],
    ['a list', 'GET', '/models', 200, {}],
    ['a refusal of a key', 'GET', '/files', 401, { authorization: 'Bearer none' }],
    ['a refusal of a body', 'POST', '/chat/completions', 415, { 'content-type': 'text/csv' }],
    ['that there is no such operation', 'GET', '/nothing', 404, {}],
    ['that there is no such thing', 'GET', '/files/any', 404, {}],
    ['that a method is not taken', 'PUT', '/files', 405, {}],
    ['that an option is not taken', 'GET', '/files', 417, { expect: 'tea' }],
  ])('%s', async (_, method, path, status, options) => {
    await expectReadable(method, path, status, options)
  })

  test('bytes, and in what part of them it is', async () => {
    const { api } = await newTenant(db)
    const id = await api.upload('0123456789')
    const { headers, status } = await api.get(`/files/${id}/content`, { origin: ORIGIN, range: 'bytes=2-4' })
    expect([status, headers.get('content-range')]).toEqual([206, 'bytes 2-4/10'])
    expect(headers.get('access-control-allow-origin')).toBe('*')
    expect(headers.get('access-control-expose-headers')).toContain('content-range')
  })

  test('what is said of a request that is too long', async () => {
    const [reply] = repliesIn(await rawExchange(`GET /v1/${'x'.repeat(20_000)} HTTP/1.1\r\nhost: x\r\n\r\n`))
    expect(reply).toMatchObject({ status: 431, headers: allowsAny })
  })
})

test("the SDK's requests, as a browser lets them through, are answered", async () => {
  const { secret } = await newTenant(db)
  /** A browser: it asks first, sends what was allowed, and hides what is not exposed. */
  const browserFetch = async (input: string | URL | Request, init: RequestInit = {}): Promise<Response> => {
    const headers = new Headers(init.headers)
    const names = [...headers.keys()].filter(name => name !== 'accept').toSorted()
    const asked = await fetch(input, { method: 'OPTIONS', headers: preflight(init.method ?? 'GET', names.join(',')) })
    const allowed = asked.headers.get('access-control-allow-headers')?.split(', ') ?? []
    if (!asked.ok || names.some(name => !allowed.includes(name))) throw new TypeError('Failed to fetch')
    headers.set('origin', ORIGIN)
    const reply = await fetch(input, { ...init, headers })
    if (reply.headers.get('access-control-allow-origin') !== '*') throw new TypeError('Failed to fetch')
    const exposed = reply.headers.get('access-control-expose-headers')?.split(', ') ?? []
    const seen = [...reply.headers].filter(([name]) => name === 'content-type' || exposed.includes(name))
    return new Response(reply.body, { status: reply.status, headers: seen })
  }
  const options = { baseURL: `${apiUrl}/v1`, dangerouslyAllowBrowser: true, maxRetries: 0, fetch: browserFetch }
  const client = new OpenAI({ apiKey: secret, ...options })
  const messages = [{ role: 'user' as const, content: fakePrompt({ reply: 'one two' }) }]
  const { data, request_id: requestId } = await client.chat.completions
    .create({ model: 'test/plain', messages })
    .withResponse()
  expect([data.choices[0]?.message.content, requestId]).toEqual(['one two', expect.stringMatching(/^[0-9a-f-]{36}$/)])
  let text = ''
  for await (const chunk of await client.chat.completions.create({ model: 'test/plain', messages, stream: true })) {
    text += chunk.choices[0]?.delta.content ?? ''
  }
  expect(text).toBe('one two')
  await expect(new OpenAI({ apiKey: 'none', ...options }).files.list()).rejects.toThrow(OpenAI.AuthenticationError)
})

describe('where the operator names the origins', () => {
  let api: ApiProcess
  beforeAll(async () => void (api = await spawnApi({ CORS_ORIGINS: `${ORIGIN},https://other.example.com` })))
  afterAll(() => api.stop())

  test.each([
    [ORIGIN, 204, ORIGIN],
    ['https://evil.example.com', 403, undefined],
  ])('a page of %s is answered with %i', async (origin, status, allowed) => {
    const asked = await rawRequest('OPTIONS', '/models', {
      apiUrl: api.url,
      headers: { ...preflight('GET'), origin },
    })
    if (status === 403) expectError(asked, 403, { code: 'policy_violation', param: 'Origin' })
    const reply = await rawRequest('GET', '/models', { apiUrl: api.url, headers: { origin } })
    expect([asked.status, reply.status]).toEqual([status, 200])
    for (const { headers } of [asked, reply]) {
      expect([headers['access-control-allow-origin'], headers['vary']]).toEqual([allowed, 'Origin'])
    }
  })
})
