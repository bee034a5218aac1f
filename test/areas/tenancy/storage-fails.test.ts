import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf, upstreamCallsOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt, waitForCalls, type FakeScript } from '../../support/fake-upstream.ts'
import { refuseWrites, type RefusedWrites } from '../../support/refused-writes.ts'
import { testStack } from '../../support/stack.ts'
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { allTurnEvents, startTurn } from '../../support/turns.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { upstreamUrl, databaseUrl } = testStack()

let api: ApiProcess
beforeAll(async () => {
  api = await spawnApi()
})
afterAll(() => api.stop())

type Refused = Omit<RefusedWrites, 'userId'>

/** The reply to a request of which the database refuses a write, and the account's tenant. */
async function askRefused(refused: Refused, path: string, body: (tenant: Tenant) => object) {
  const tenant = await newTenant(db, { apiUrl: api.url })
  const allow = await refuseWrites(db, { ...refused, userId: tenant.userId })
  try {
    const reply = await tenant.api.post(path, body(tenant), { 'idempotency-key': 'one' })
    return { tenant, reply, books: await booksOf(db, tenant) }
  } finally {
    await allow()
  }
}

const scriptOf = ({ keyId: id }: Tenant): FakeScript => ({ id, reply: 'one two three' })
const chat = (tenant: Tenant) => chatOf(scriptOf(tenant), { stream: true })
const completion = (tenant: Tenant) => ({ model: 'test/plain', prompt: fakePrompt(scriptOf(tenant)), stream: true })
const response = (tenant: Tenant) => ({ model: 'test/plain', input: fakePrompt(scriptOf(tenant)), stream: true })

const lastOf = (text: string): any => {
  const data = text.split('\n').filter(line => line.startsWith('data: '))
  return JSON.parse(data.at(-1)?.slice('data: '.length) ?? 'null')
}

/** Lines of the log of errors, by their words. */
const errorsOf = (log: string): string[] =>
  log.split('\n').flatMap(line => {
    const { level, msg } = line.startsWith('{') ? JSON.parse(line) : {}
    return level === 50 ? [msg as string] : []
  })

const RECORD: Refused = { table: 'inference_requests', write: 'INSERT' }
const NOT_RECORDED = 'a call could not be recorded'

describe('where a stream that has ended cannot be recorded', () => {
  test.each([
    ['a chat', CHAT, chat],
    ['a completion', '/completions', completion],
  ])('the reader of %s is told of a failure, and nobody is charged', async (_, path, body) => {
    const { reply, books } = await askRefused(RECORD, path, body)
    expect(reply.text).toContain('three')
    expect(reply.text).not.toContain('[DONE]')
    expect(lastOf(reply.text)).toMatchObject({ error: { code: 'service_unavailable' } })
    expect(errorsOf(await api.logsAfter(reply))).toContain(NOT_RECORDED)
    expect(books).toMatchObject({ calls: [], charges: [], balanceNanos: books.entriesNanos })
  })

  test('the reader of a response is told of a failure, and nobody is charged', async () => {
    const { tenant, reply, books } = await askRefused(RECORD, '/responses', response)
    const last = lastOf(reply.text)
    expect(last).toMatchObject({
      type: 'response.failed',
      response: { status: 'failed', output_text: 'one two three' },
    })
    expect(errorsOf(await api.logsAfter(reply))).toContain(NOT_RECORDED)
    expect(books.charges).toEqual([])
    expect((await tenant.api.get(`/responses/${last.response.id}`)).body.status).toBe('failed')
  })

  test('a turn fails at once, and its model is not asked again', async () => {
    const tenant = await newTenant(db)
    const allow = await refuseWrites(db, { ...RECORD, userId: tenant.userId })
    try {
      const events = await allTurnEvents(tenant.secret, await startTurn(tenant.api, scriptOf(tenant)))
      expect(events.at(-1)?.type).toBe('turn.failed')
    } finally {
      await allow()
    }
    expect(await upstreamCallsOf(tenant)).toHaveLength(1)
    const holds = await db.query('SELECT 1 FROM holds WHERE user_id = $1 AND released_at IS NULL', [tenant.userId])
    expect(holds.rows).toEqual([])
    expect((await booksOf(db, tenant)).charges).toEqual([])
    // Operators see what was paid for nothing.
    const { rows } = await db.query<{ uncharged_nanos: bigint }>(
      'SELECT uncharged_nanos FROM jobs WHERE user_id = $1',
      [tenant.userId],
    )
    expect(rows).toEqual([{ uncharged_nanos: expect.any(BigInt) }])
    expect(rows[0]?.uncharged_nanos).toBeGreaterThan(0n)
  })
})

describe('where a response that was paid cannot be stored', () => {
  test.each<[string, Refused, string]>([
    ['its beginning', { table: 'responses', write: 'INSERT' }, 'a response could not be stored'],
    ['its end', { table: 'responses', write: 'UPDATE' }, 'the end of a response could not be stored'],
  ])('at %s, its reader gets all of it, told that it is not stored', async (_, refused, line) => {
    const { reply, books } = await askRefused(refused, '/responses', response)
    expect(lastOf(reply.text)).toMatchObject({
      type: 'response.completed',
      response: { status: 'completed', output_text: 'one two three', store: false },
    })
    expect(errorsOf(await api.logsAfter(reply))).toContain(line)
    expect(books.charges).toHaveLength(1)
  })

  test('whole, it is given, told that it is not stored', async () => {
    const refused: Refused = { table: 'responses', write: 'INSERT' }
    const whole = (tenant: Tenant) => ({ ...response(tenant), stream: false })
    const { tenant, reply, books } = await askRefused(refused, '/responses', whole)
    expect(reply).toMatchObject({ status: 200, body: { status: 'completed', store: false } })
    expect(errorsOf(await api.logsAfter(reply))).toContain('a response that was paid could not be stored')
    expect(books.charges).toHaveLength(1)
    expect((await tenant.api.get(`/responses/${reply.body.id}`)).status).toBe(404)
  })
})

test.each([
  ['a chat', CHAT, chat],
  ['a response', '/responses', response],
])('where %s cannot be kept for its Idempotency-Key, its stream ends as ever', async (_, path, body) => {
  const { reply, books } = await askRefused({ table: 'kept_replies', write: 'UPDATE' }, path, body)
  expect(reply.text).toMatch(/\[DONE\]|response\.completed/)
  expect(reply.text).not.toMatch(/"error":\{|event: error/)
  expect(errorsOf(await api.logsAfter(reply))).toContain('a reply could not be kept for its Idempotency-Key')
  expect(books.charges).toHaveLength(1)
})

describe('a database that is away when a stream ends', () => {
  let proxy: TcpProxy
  let far: ApiProcess
  beforeAll(async () => {
    proxy = await tcpProxy(databaseUrl)
    far = await spawnApi({ DATABASE_URL: proxy.url })
  })
  afterAll(async () => {
    await far.stop()
    proxy.close()
  })

  test.each([
    ['a chat', CHAT, chat, '[DONE]'],
    ['a response', '/responses', response, 'response.completed'],
  ])('is waited for: %s ends when it is back, and is charged once', async (_, path, body, end) => {
    const tenant = await newTenant(db, { apiUrl: far.url })
    const script = { ...scriptOf(tenant), chunkDelayMs: 300 }
    const asked = path === CHAT ? chatOf(script, { stream: true }) : { ...body(tenant), input: fakePrompt(script) }
    const reply = tenant.api.post(path, asked)
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    proxy.cut()
    await waitForCalls(upstreamUrl, tenant.keyId, 1, { what: 'completed' })
    await until(async () => proxy.refused() > 0)
    proxy.mend()
    const { text } = await reply
    expect(text).toContain(end)
    expect((await booksOf(db, tenant)).charges).toHaveLength(1)
  })
})
