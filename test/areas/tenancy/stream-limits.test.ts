import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf, upstreamCallsOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { leasesOf } from '../../support/leases.ts'
import { fakePrompt, releaseCalls } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { startTurn } from '../../support/turns.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { apiUrl, upstreamUrl } = testStack()
const EVENTS = { accept: 'text/event-stream' }
const ENDLESS = { reply: 'one two three', hangAfterChunks: 3 }

let second: ApiProcess
beforeAll(async () => void (second = await spawnApi()))
afterAll(() => second.stop())

const clients: AbortController[] = []
afterEach(() => clients.splice(0).forEach(client => client.abort()))

interface Open {
  status: number
  headers: Headers
  /** All of the reply, when it has ended. */
  text(): Promise<string>
  leave(): void
}

/** Opens a reply, and leaves it open. */
async function open(tenant: Tenant, url: string, path: string, body?: unknown, headers = {}): Promise<Open> {
  const client = new AbortController()
  clients.push(client)
  const reply = await fetch(`${url}/v1${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'x-api-key': tenant.secret, 'content-type': 'application/json', ...headers },
    signal: client.signal,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  return { status: reply.status, headers: reply.headers, text: () => reply.text(), leave: () => client.abort() }
}

const openChat = (tenant: Tenant, url: string, script = ENDLESS) =>
  open(tenant, url, CHAT, chatOf({ ...script, id: tenant.keyId }, { stream: true }))

/** A stream is had, and ended again. */
async function canStream(tenant: Tenant, url: string): Promise<boolean> {
  const stream = await open(tenant, url, CHAT, chatOf({ reply: 'short' }, { stream: true }))
  await stream.text()
  return stream.status === 200
}

async function expectRefused(reply: Open, limit: number): Promise<void> {
  const { status, headers } = reply
  const error = expectError({ status, headers, text: await reply.text() }, 429, {
    code: 'rate_limit_exceeded',
    type: 'rate_limit',
  })
  expect(error).toMatchObject({ message: `This API key may have ${limit} streams open at once.`, retryable: true })
  expect(error.retry_after_seconds).toBe(1)
}

describe('over two processes', () => {
  test('a key has as many streams open as it may, and its other calls go on', async () => {
    const tenant = await newTenant(db, { concurrentStreams: 2 })
    expect([(await openChat(tenant, apiUrl)).status, (await openChat(tenant, second.url)).status]).toEqual([200, 200])
    await expectRefused(await openChat(tenant, apiUrl), 2)
    await expectRefused(await openChat(tenant, second.url), 2)
    expect(await upstreamCallsOf(tenant)).toHaveLength(2)
    expect((await tenant.api.post(CHAT, chatOf({}))).status).toBe(200)
    expect((await tenant.api.get('/files')).status).toBe(200)
  })

  test('a burst gets exactly so many', async () => {
    const tenant = await newTenant(db, { concurrentStreams: 30 })
    const streams = Array.from({ length: 40 }, (_, index) => openChat(tenant, index % 2 === 0 ? apiUrl : second.url))
    const statuses = (await Promise.all(streams)).map(({ status }) => status)
    const admitted = statuses.filter(status => status === 200).length
    expect(admitted).toBeLessThanOrEqual(30)
    expect(admitted).toBeGreaterThanOrEqual(27)
  })

  test('a stream that ended makes room at once', async () => {
    const tenant = await newTenant(db, { concurrentStreams: 1 })
    for (const url of [apiUrl, second.url, second.url, apiUrl, second.url, apiUrl]) {
      expect(await canStream(tenant, url)).toBe(true)
    }
  })

  test('a client that leaves makes room for one', async () => {
    const tenant = await newTenant(db, { concurrentStreams: 1 })
    const left = await openChat(tenant, apiUrl)
    left.leave()
    await until(async () => (await booksOf(db, tenant)).calls.length === 1)
    expect(await canStream(tenant, apiUrl)).toBe(true)
    expect((await openChat(tenant, apiUrl)).status).toBe(200)
    await expectRefused(await openChat(tenant, apiUrl), 1)
    await expectRefused(await openChat(tenant, second.url), 1)
  })

  test('a client that leaves makes room, though its call goes on', async () => {
    const tenant = await newTenant(db, { concurrentStreams: 1 })
    const metadata = { client_disconnect_cancel: false }
    const script = { reply: 'one two three four', heldAfterChunks: 2, id: tenant.keyId }
    const stays = chatOf(script, { stream: true, metadata })
    const stream = await open(tenant, apiUrl, CHAT, stays)
    expect(await canStream(tenant, second.url)).toBe(false)
    stream.leave()
    await until(() => canStream(tenant, second.url))
    const [call] = await upstreamCallsOf(tenant)
    expect(call?.endedAt).toBeNull()
    await releaseCalls(upstreamUrl, tenant.keyId)
  })

  test('a stream that fails before it began makes room', async () => {
    const tenant = await newTenant(db, { concurrentStreams: 1 })
    const failing = await open(tenant, apiUrl, CHAT, chatOf({ status: 400 }, { stream: true }))
    expect(failing.status).toBe(400)
    expect(await canStream(tenant, second.url)).toBe(true)
  })
})

describe('a process that is killed', () => {
  const LEASE_MS = 5_000
  const untilOf = async (tenant: Tenant) =>
    Math.max(0, ...Object.values((await leasesOf(db, tenant, 'streams'))?.held ?? {}).map(({ untilMs }) => untilMs))

  test('renews its leases while it lives; then its streams come free', async () => {
    const doomed = await spawnApi({ STREAM_LEASE_SECONDS: String(LEASE_MS / 1_000) })
    const tenant = await newTenant(db, { concurrentStreams: 2 })
    await openChat(tenant, doomed.url)
    await openChat(tenant, doomed.url)
    const firstUntilMs = await untilOf(tenant)
    await until(async () => (await untilOf(tenant)) > firstUntilMs + LEASE_MS / 2)
    await expectRefused(await openChat(tenant, apiUrl), 2)
    await doomed.stop()
    await expectRefused(await openChat(tenant, apiUrl), 2)
    const lastUntilMs = await untilOf(tenant)
    await until(() => canStream(tenant, apiUrl))
    expect(Date.now()).toBeGreaterThanOrEqual(lastUntilMs)
    expect((await openChat(tenant, second.url)).status).toBe(200)
  })
})

describe('of an operation that streams', () => {
  const asked = (stream: boolean) => chatOf({ reply: 'words' }, { stream })
  const response = (stream: boolean) => ({ model: 'test/plain', input: fakePrompt({ reply: 'words' }), stream })

  test.each<[string, (tenant: Tenant) => Promise<[path: string, body?: unknown, headers?: object]>]>([
    ['POST /chat/completions', async () => [CHAT, asked(true)]],
    [
      'POST /completions',
      async () => ['/completions', { model: 'test/plain', prompt: fakePrompt({ reply: 'words' }), stream: true }],
    ],
    ['POST /responses', async () => ['/responses', response(true)]],
    ['POST /responses in the background', async () => ['/responses', { ...response(true), background: true }]],
    ['POST /agent-turns', async () => ['/agent-turns', asked(true), EVENTS]],
    [
      'GET /responses/{response_id}',
      async ({ api }) => [`/responses/${(await api.post('/responses', response(false))).body.id}?stream=true`],
    ],
    [
      'GET /agent-turns/{request_id}/events',
      async ({ api }) => [`/agent-turns/${await startTurn(api, { reply: 'words' })}/events`],
    ],
  ])('%s takes a slot', async (_name, prepare) => {
    const tenant = await newTenant(db, { concurrentStreams: 1 })
    const [path, body, headers] = await prepare(tenant)
    const endless = await openChat(tenant, second.url)
    await expectRefused(await open(tenant, apiUrl, path, body, headers), 1)
    endless.leave()
    const reply = await until(async () => {
      const stream = await open(tenant, apiUrl, path, body, headers)
      return stream.status === 200 && stream
    })
    expect(reply.headers.get('content-type')).toMatch(/^text\/event-stream/)
    await reply.text()
    expect(await canStream(tenant, second.url)).toBe(true)
  })

  test('what does not stream takes none, and a turn that is refused its stream is not begun', async () => {
    const tenant = await newTenant(db, { concurrentStreams: 1 })
    const { api } = tenant
    await openChat(tenant, second.url)
    await expectRefused(await open(tenant, apiUrl, '/agent-turns', asked(true), EVENTS), 1)
    const { rows } = await db.query('SELECT 1 FROM agent_turns WHERE user_id = $1', [tenant.userId])
    expect(rows).toEqual([])
    const made = await api.post('/responses', response(false))
    const statuses = [
      made.status,
      (await api.post(CHAT, asked(false))).status,
      (await api.get(`/responses/${made.body.id}`)).status,
      (await api.post('/agent-turns', asked(true))).status,
    ]
    expect(statuses).toEqual([200, 200, 200, 200])
  })
})
