import { once } from 'node:events'
import { get, request, type IncomingMessage } from 'node:http'
import { afterEach, describe, expect, test } from '@jest/globals'
import { revokeApiKey } from '../../../domain/tenancy/keys/keys.service.ts'
import { disableUser } from '../../../domain/tenancy/accounts/account.service.ts'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt, releaseCalls, waitForAbort, waitForCalls, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'
import { startTurn } from '../../support/turns.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { apiUrl, upstreamUrl } = testStack()
/** Where the notification arrives, of which the commit is no part; the periodic look comes every 10 s. */
const AT_ONCE_MS = 5_000
/** Before the stream would end by itself. */
const AT_LAST_MS = 90_000
const REVOKED = 'This API key was revoked.'

const scriptOf = ({ keyId }: Tenant): FakeScript => ({ reply: 'one two three', hangAfterChunks: 3, id: keyId })

const clients: AbortController[] = []
afterEach(() => clients.splice(0).forEach(client => client.abort()))

interface Open {
  /** What has come so far. */
  text(): string
  /** Resolves when the stream has ended in order. */
  ended: Promise<void>
}

async function open(secret: string, path: string, body?: unknown, headers = {}): Promise<Open> {
  const client = new AbortController()
  clients.push(client)
  const reply = await fetch(`${apiUrl}/v1${path}`, {
    method: body === undefined ? 'GET' : 'POST',
    headers: { 'x-api-key': secret, 'content-type': 'application/json', ...headers },
    signal: client.signal,
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  if (reply.status !== 200) throw new Error(`${reply.status} ${await reply.text()}`)
  let text = ''
  const read = async () => {
    for await (const part of reply.body ?? []) text += Buffer.from(part).toString()
  }
  const ended = read()
  ended.catch(() => undefined)
  return { text: () => text, ended }
}

const lastData = (stream: Open): any => {
  const [last = ''] = stream.text().trim().split('\n\n').slice(-1)
  return JSON.parse(/^data: (.*)$/m.exec(last)?.[1] ?? 'null')
}

async function endedWithin(stream: Open, sinceMs: number, withinMs: number): Promise<void> {
  const late = setTimeout(() => clients.forEach(client => client.abort(new Error('it did not end'))), withinMs)
  await stream.ended.finally(() => clearTimeout(late))
  expect(Date.now() - sinceMs).toBeLessThan(withinMs)
}

const openChat = (tenant: Tenant, body: object = {}) =>
  open(tenant.secret, CHAT, chatOf(scriptOf(tenant), { stream: true, ...body }))

const responseOf = (tenant: Tenant, body: object = {}) => ({
  model: 'test/plain',
  input: fakePrompt(scriptOf(tenant)),
  stream: true,
  ...body,
})

const CHAT_ERROR = { error: { message: REVOKED, type: 'unauthorized', code: 'unauthorized', param: null } }
const TYPED_ERROR = {
  type: 'error',
  code: 'unauthorized',
  message: REVOKED,
  param: null,
  sequence_number: expect.any(Number),
}

describe('a stream under way, when its key is revoked', () => {
  test.each<[string, object, (tenant: Tenant) => Promise<Open>]>([
    ['of a chat', CHAT_ERROR, tenant => openChat(tenant)],
    [
      'of a chat that outlives its client',
      CHAT_ERROR,
      tenant => openChat(tenant, { metadata: { client_disconnect_cancel: false } }),
    ],
    ['of a response', TYPED_ERROR, tenant => open(tenant.secret, '/responses', responseOf(tenant))],
    [
      'of a background response',
      TYPED_ERROR,
      tenant => open(tenant.secret, '/responses', responseOf(tenant, { background: true })),
    ],
    [
      'of a turn',
      CHAT_ERROR,
      tenant => open(tenant.secret, '/agent-turns', chatOf(scriptOf(tenant)), { accept: 'text/event-stream' }),
    ],
    [
      "of a turn's events",
      CHAT_ERROR,
      async tenant => open(tenant.secret, `/agent-turns/${await startTurn(tenant.api, scriptOf(tenant))}/events`),
    ],
  ])('%s: ends with an error event', async (_of, error, begin) => {
    const tenant = await newTenant(db)
    const other = await newKey(db, tenant.userId)
    const [stream, sibling] = [await begin(tenant), await openChat(other)]
    await until(async () => stream.text().includes('three') && sibling.text().includes('three'))
    await revokeApiKey({ db }, tenant.keyId)
    const revokedAtMs = Date.now()
    await endedWithin(stream, revokedAtMs, AT_ONCE_MS)
    expect(lastData(stream)).toEqual(error)
    expect(stream.text()).not.toContain('[DONE]')
    expect(sibling.text()).not.toContain('revoked')
  })

  test('is billed for what was delivered, and ends its upstream call', async () => {
    const tenant = await newTenant(db)
    const stream = await openChat(tenant)
    await until(async () => stream.text().includes('three'))
    await revokeApiKey({ db }, tenant.keyId)
    const [call] = await waitForAbort(upstreamUrl, tenant.keyId)
    expect(call?.completed).toBe(false)
    const { calls, charges } = await until(async () => {
      const books = await booksOf(db, tenant)
      return books.calls.length > 0 && books
    })
    expect(calls).toEqual([
      expect.objectContaining({ status: 'canceled', error_code: 'unauthorized', tokens_out: 3, streamed: true }),
    ])
    expect(charges).toEqual([{ reference: calls[0]?.id, amount_nanos: -(calls[0]?.cost_nanos ?? 0n) }])
  })

  test('is answered with 401 where it has not begun', async () => {
    const tenant = await newTenant(db)
    const body = chatOf({ hang: true, id: tenant.keyId }, { stream: true })
    const waiting = tenant.api.post(CHAT, body)
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    await revokeApiKey({ db }, tenant.keyId)
    expect(await waiting).toMatchObject({ status: 401, body: { code: 'unauthorized', message: REVOKED } })
  })

  test('ends in time when its key is revoked, expires or loses its account, and nobody is notified', async () => {
    const ends: [(tenant: Tenant) => Promise<unknown>, string][] = [
      [({ keyId }) => db.query('UPDATE api_keys SET revoked_at = now() WHERE id = $1', [keyId]), REVOKED],
      [
        ({ keyId }) => db.query('UPDATE api_keys SET expires_at = now() WHERE id = $1', [keyId]),
        'This API key has expired.',
      ],
      [
        ({ userId }) => db.query('UPDATE users SET disabled_at = now() WHERE id = $1', [userId]),
        'This account is disabled.',
      ],
    ]
    const endless = { chunks: ['one ', ...Array.from({ length: 200 }, () => 'more ')], chunkDelayMs: 500 }
    const endsInTime = async ([change, message]: (typeof ends)[number]) => {
      const tenant = await newTenant(db)
      const stream = await open(tenant.secret, CHAT, chatOf({ ...endless, id: tenant.keyId }, { stream: true }))
      await until(async () => stream.text().includes('one'))
      const changedAtMs = Date.now()
      await change(tenant)
      await endedWithin(stream, changedAtMs, AT_LAST_MS)
      expect(lastData(stream)).toMatchObject({ error: { message, code: 'unauthorized' } })
    }
    await Promise.all(ends.map(endsInTime))
  })

  test('ends when its account is disabled', async () => {
    const tenant = await newTenant(db)
    const stream = await openChat(tenant)
    await until(async () => stream.text().includes('three'))
    await disableUser({ db }, tenant.userId)
    const disabledAtMs = Date.now()
    await endedWithin(stream, disabledAtMs, AT_ONCE_MS)
    expect(lastData(stream)).toMatchObject({ error: { message: 'This account is disabled.' } })
  })
})

describe('when a key is revoked', () => {
  test('a download breaks off', async () => {
    const tenant = await newTenant(db)
    const sizeBytes = 32 * 1024 * 1024
    const fileId = await tenant.api.upload('x'.repeat(sizeBytes), 'purpose=user_data')
    const asked = get(`${apiUrl}/v1/files/${fileId}/content`, { headers: { 'x-api-key': tenant.secret }, agent: false })
    const [reply] = (await once(asked, 'response')) as [IncomingMessage]
    reply.pause()
    await revokeApiKey({ db }, tenant.keyId)
    let bytes = 0
    const read = async () => {
      for await (const part of reply) bytes += (part as Buffer).length
    }
    await expect(read()).rejects.toThrow('aborted')
    expect(bytes).toBeLessThan(sizeBytes)
  })

  test('an upload is refused before it is whole, and leaves nothing', async () => {
    const tenant = await newTenant(db)
    const asked = request(`${apiUrl}/v1/files?purpose=batch`, {
      method: 'POST',
      headers: { 'x-api-key': tenant.secret, 'content-type': 'application/octet-stream' },
      agent: false,
    })
    asked.on('error', () => undefined)
    asked.write('{"custom_id":"a"}\n')
    await until(async () => (await db.query('SELECT FROM files WHERE user_id = $1', [tenant.userId])).rowCount > 0)
    const answered = once(asked, 'response') as Promise<[IncomingMessage]>
    await revokeApiKey({ db }, tenant.keyId)
    const [reply] = await answered
    expect(reply.statusCode).toBe(401)
    asked.destroy()
    const { api } = await newKey(db, tenant.userId)
    expect((await api.get('/files')).body.data).toEqual([])
  })

  test('a reply that comes whole still comes, and so does a job: they are the account’s', async () => {
    const tenant = await newTenant(db)
    const whole = tenant.api.post(CHAT, chatOf({ reply: 'late', held: true, id: tenant.keyId }))
    const turnCall = `turn-${tenant.keyId}`
    const turnId = await startTurn(tenant.api, { reply: 'made', held: true, id: turnCall })
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    await revokeApiKey({ db }, tenant.keyId)
    for (const id of [tenant.keyId, turnCall]) await releaseCalls(upstreamUrl, id)
    expect((await whole).status).toBe(200)
    const { api } = await newKey(db, tenant.userId)
    await until(async () => (await api.get(`/agent-turns/${turnId}`)).body.lifecycle === 'completed')
  })
})
