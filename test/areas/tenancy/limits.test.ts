import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { announceKeyChange } from '../../../domain/tenancy/keys/keys.sql.ts'
import { inTransaction } from '../../../infra/postgres/database.ts'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { CHAT, chatOf } from '../../support/chats.ts'
import { apiClient, type ApiReply } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { ageRequests, leasesOf } from '../../support/leases.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
/** How soon a change counts everywhere; a cache alone would hold a key for three times as long. */
const AT_ONCE_MS = 10_000

let second: ApiProcess
beforeAll(async () => void (second = await spawnApi()))
afterAll(() => second.stop())

/** The key at both API processes. */
const bothOf = ({ api, secret }: Tenant) => [api, apiClient(secret, second.url)] as const
const isAdmitted = ({ status }: ApiReply) => status === 200

/** So many calls, by turns at both processes, so many at a time. */
async function hammer(tenant: Tenant, calls: number, atOnce: number): Promise<ApiReply[]> {
  const both = bothOf(tenant)
  const replies: ApiReply[] = []
  const clients = Array.from({ length: atOnce }, async (_, client) => {
    for (let call = client; call < calls; call += atOnce) {
      replies.push(await (both[call % 2] ?? tenant.api).get('/files?limit=1'))
    }
  })
  await Promise.all(clients)
  return replies
}

describe('of a limit of 600 requests a minute', () => {
  const LIMIT = 600

  test('two processes that are hammered admit what one would', async () => {
    const tenant = await newTenant(db, { requestsPerMinute: LIMIT })
    const startedAtMs = Date.now()
    const replies = await hammer(tenant, 900, 24)
    // A slow machine may take more than a minute.
    const minutes = Math.ceil((Date.now() - startedAtMs) / 60_000)
    const admitted = replies.filter(isAdmitted).length
    expect(admitted).toBeLessThanOrEqual(LIMIT * minutes)
    expect(admitted).toBeGreaterThanOrEqual(LIMIT * 0.9)
    replies.filter(reply => !isAdmitted(reply)).forEach(reply => expectError(reply, 429))
  })

  test('one process admits nearly all, though the other holds some', async () => {
    const tenant = await newTenant(db, { requestsPerMinute: LIMIT })
    const [one, other] = bothOf(tenant)
    expect((await other.get('/files')).status).toBe(200)
    const replies: ApiReply[] = []
    for (let round = 0; round < 35; round += 1) {
      replies.push(...(await Promise.all(Array.from({ length: 20 }, () => one.get('/files?limit=1')))))
    }
    const admitted = replies.filter(isAdmitted).length
    expect(admitted).toBeGreaterThanOrEqual(LIMIT * 0.9)
    expect(admitted).toBeLessThan(LIMIT)
    expect((await other.get('/files')).status).toBe(200)
  })

  test('calls go on while Postgres is slow, as long as requests are held', async () => {
    const tenant = await newTenant(db, { requestsPerMinute: LIMIT })
    for (let call = 0; call < 20; call += 1) expect((await tenant.api.get('/files')).status).toBe(200)
    // More was fetched when half of the first 30 were used, so that 25 are held now.
    await until(async () => (await leasesOf(db, tenant, 'requests'))?.used.length)
    const { late } = await inTransaction(db, async tx => {
      await tx.query('SELECT 1 FROM api_key_leases WHERE key_id = $1 FOR UPDATE', [tenant.keyId])
      for (let call = 0; call < 25; call += 1) expect((await tenant.api.get('/files')).status).toBe(200)
      const late = tenant.api.get('/files')
      const first = await Promise.race([late.then(() => 'late'), tenant.api.get('/status').then(() => 'status')])
      expect(first).toBe('status')
      return { late }
    })
    expect((await late).status).toBe(200)
  })

  test('a process that stops gives back what it holds', async () => {
    const tenant = await newTenant(db, { requestsPerMinute: LIMIT })
    const stopping = await spawnApi()
    expect((await apiClient(tenant.secret, stopping.url).get('/files')).status).toBe(200)
    const held = Object.values((await leasesOf(db, tenant, 'requests'))?.held ?? {})
    expect(held).toEqual([{ requests: 30, atMs: expect.any(Number) }])
    process.kill(stopping.pid, 'SIGTERM')
    await until(async () => Object.keys((await leasesOf(db, tenant, 'requests'))?.held ?? {}).length === 0)
    const used = (await leasesOf(db, tenant, 'requests'))?.used.map(([, requests]) => requests)
    expect(used).toEqual([1])
  })
})

describe('a small limit', () => {
  const LIMIT = 5

  test('holds exactly over two processes', async () => {
    const tenant = await newTenant(db, { requestsPerMinute: LIMIT })
    const startedAtMs = Date.now()
    const replies = await hammer(tenant, 20, 20)
    const tookSeconds = Math.ceil((Date.now() - startedAtMs) / 1_000)
    expect(replies.filter(isAdmitted)).toHaveLength(LIMIT)
    for (const reply of replies.filter(({ status }) => status !== 200)) {
      const error = expectError(reply, 429, { code: 'rate_limit_exceeded', type: 'rate_limit' })
      expect(error).toMatchObject({ retryable: true, message: 'This API key may make 5 requests a minute.' })
      expect(error.retry_after_seconds).toBeGreaterThanOrEqual(60 - tookSeconds)
      expect(error.retry_after_seconds).toBeLessThanOrEqual(60)
    }
  })

  test('gives more after the time that was told, and not before', async () => {
    const tenant = await newTenant(db, { requestsPerMinute: LIMIT })
    await hammer(tenant, 10, 10)
    await ageRequests(db, tenant, 55_000)
    const ask = () => tenant.api.get('/files')
    const refused = await until(async () => {
      const reply = await ask()
      return Number(reply.headers.get('retry-after')) <= 5 && reply
    })
    const toldAtMs = performance.now()
    const toldMs = Number(refused.headers.get('retry-after')) * 1_000
    expect(toldMs).toBeGreaterThanOrEqual(2_000)
    await until(async () => isAdmitted(await ask()))
    // The window alone would take a minute more.
    expect(performance.now() - toldAtMs).toBeLessThan(toldMs + 30_000)
    expect(performance.now() - toldAtMs).toBeGreaterThan(toldMs - 1_100)
  })

  test("is the key's own, and counts what is refused for other reasons", async () => {
    const tenant = await newTenant(db, { requestsPerMinute: 2 })
    const other = await newKey(db, tenant.userId, { requestsPerMinute: 2 })
    expectError(await tenant.api.post(CHAT, { model: 'test/none', messages: [] }), 400)
    expect((await tenant.api.post(CHAT, chatOf({}))).status).toBe(200)
    expectError(await tenant.api.post(CHAT, chatOf({})), 429)
    expectError(await tenant.api.get('/files'), 429)
    expect((await other.api.get('/files')).status).toBe(200)
    expect((await tenant.api.get('/status')).status).toBe(200)
  })

  test('that is changed counts at once', async () => {
    const tenant = await newTenant(db, { requestsPerMinute: 1 })
    const isAdmittedNow = async () => isAdmitted(await tenant.api.get('/files'))
    expect([await isAdmittedNow(), await isAdmittedNow()]).toEqual([true, false])
    await inTransaction(db, async tx => {
      await tx.query('UPDATE api_keys SET requests_per_minute = 3 WHERE id = $1', [tenant.keyId])
      await announceKeyChange(tx, tenant.keyId)
    })
    await until(isAdmittedNow, AT_ONCE_MS)
    expect([await isAdmittedNow(), await isAdmittedNow()]).toEqual([true, false])
  })
})

describe('replies tell of the limit', () => {
  const headersOf = ({ headers }: { headers: Headers }) =>
    ['limit', 'remaining', 'reset'].map(name => headers.get(`x-ratelimit-${name}-requests`))

  test('of every kind', async () => {
    const { api } = await newTenant(db, { requestsPerMinute: 5 })
    expect(headersOf(await api.get('/files'))).toEqual(['5', '4', '1m0s'])
    expect(headersOf(await api.get('/files/file_nothing'))).toEqual(['5', '3', '1m0s'])
    const stream = await api.open(CHAT, chatOf({}, { stream: true }))
    expect(headersOf(stream)).toEqual(['5', '2', '1m0s'])
    await stream.text()
    expect(headersOf(await api.post(CHAT, {}))).toEqual(['5', '1', '1m0s'])
    expect(headersOf(await api.get('/files'))).toEqual(['5', '0', '1m0s'])
    const [limit, remaining, reset] = headersOf(await api.get('/files'))
    expect([limit, remaining]).toEqual(['5', '0'])
    expect(reset).toMatch(/^(1m0|5\d)s$/)
  })

  test('as far as this process knows, where it admits from what it holds', async () => {
    const { api } = await newTenant(db, { requestsPerMinute: 600 })
    const left: number[] = []
    for (let call = 0; call < 40; call += 1) left.push(Number(headersOf(await api.get('/files'))[1]))
    expect(left).toEqual(left.map((_, call) => 599 - call))
  })

  test('not where there is none, nor to strangers', async () => {
    const { api } = await newTenant(db)
    expect(headersOf(await api.get('/files'))).toEqual([null, null, null])
    expect(headersOf(await apiClient('ipop_no').get('/files'))).toEqual([null, null, null])
    expect(headersOf(await api.get('/status'))).toEqual([null, null, null])
  })
})
