import { describe, expect, test } from '@jest/globals'
import {
  repairStorage,
  setStorageQuota,
  storageOf,
  sweepStorageParts,
  verifyStorage,
} from '../../../domain/tenancy/storage/storage.service.ts'
import { ipop, ipopJson } from '../../cli/ipop.ts'
import { chatRow, startBatch, untilEnded } from '../../support/batches.ts'
import { CHAT, chatOf, upstreamCallsOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakePrompt } from '../../support/fake-upstream.ts'
import { useOwnApi } from '../../support/own-api.ts'
import { testStack } from '../../support/stack.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'
import { allTurnEvents, startTurn } from '../../support/turns.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const ownApi = useOwnApi()
const { databaseUrl } = testStack()
const MIB = 1024 * 1024
const quotas = { withCredit: 1024 * MIB, withoutCredit: 64 * MIB }
const EXCEEDED = { code: 'policy_violation', type: 'storage_quota_exceeded' }

const used = async ({ userId }: Tenant) => Number((await storageOf({ db, quotas }, userId)).usedBytes)
const differing = async ({ userId }: Tenant) => (await verifyStorage({ db })).filter(one => one.user_id === userId)
const kindsOf = async ({ userId }: Tenant) =>
  (
    await db.query<{ kind: string }>(
      'SELECT kind FROM storage_usage WHERE user_id = $1 GROUP BY kind HAVING sum(bytes) > 0 ORDER BY kind',
      [userId],
    )
  ).rows.map(({ kind }) => kind)
const upload = ({ api }: Tenant, bytes: number) =>
  api.send('POST', '/files?purpose=batch', {
    headers: { 'content-type': 'application/octet-stream' },
    body: 'x'.repeat(bytes),
  })
const respond = ({ api }: Tenant, body: object = {}) =>
  api.post('/responses', { model: 'test/plain', input: fakePrompt({ reply: 'kept' }), ...body })
const withQuota = async (bytes: number) => {
  const tenant = await newTenant(db)
  await setStorageQuota({ db }, tenant.userId, BigInt(bytes))
  return tenant
}

describe('what an account keeps', () => {
  test('is counted with every write, of whatever kind, and given back', async () => {
    const tenant = await newTenant(db)
    expect(await used(tenant)).toBe(0)
    await Promise.all(Array.from({ length: 10 }, () => upload(tenant, 1_000)))
    expect(await used(tenant)).toBe(10_000)

    const rows = [chatRow('a', fakePrompt({ reply: 'y'.repeat(2_000) })), chatRow('b', fakePrompt({}))]
    await untilEnded(tenant.api, await startBatch(tenant.api, rows))
    const response = await respond(tenant)
    await allTurnEvents(tenant.secret, await startTurn(tenant.api, { reply: 'one two' }))
    const { body: video } = await tenant.api.post('/videos', {
      model: 'test/film',
      prompt: fakePrompt({ video: { polls: [{ status: 'completed', unsigned_urls: ['x'] }] } }),
    })
    await until(async () => (await tenant.api.get(`/videos/${video.id}`)).body.status === 'completed')
    expect(await kindsOf(tenant)).toEqual(['batch_rows', 'events', 'files', 'responses', 'videos'])
    expect(await differing(tenant)).toEqual([])

    const before = await used(tenant)
    await tenant.api.delete(`/responses/${response.body.id}`)
    const { body: files } = await tenant.api.get('/files')
    for (const file of files.data) await tenant.api.delete(`/files/${file.id}`)
    expect(await kindsOf(tenant)).toEqual(['batch_rows', 'events', 'videos'])
    expect(await used(tenant)).toBeLessThan(before - 10_000)
    expect(await differing(tenant)).toEqual([])
  })

  test('is counted right where the counts of many connections are folded', async () => {
    const tenant = await newTenant(db)
    await Promise.all(Array.from({ length: 8 }, () => upload(tenant, 500)))
    await db.query('UPDATE storage_usage SET part = -part WHERE user_id = $1 AND part <> 0', [tenant.userId])
    await sweepStorageParts({ db })
    const { rows } = await db.query('SELECT part, bytes FROM storage_usage WHERE user_id = $1', [tenant.userId])
    expect(rows).toEqual([{ part: 0, bytes: 4_000n }])
  })

  test('that was miscounted is found, and repaired', async () => {
    const tenant = await newTenant(db)
    await upload(tenant, 700)
    await db.query(`UPDATE storage_usage SET bytes = bytes + 300 WHERE user_id = $1 AND kind = 'files'`, [
      tenant.userId,
    ])
    const found = { user_id: tenant.userId, kind: 'files', expected: 700n, found: 1_000n }
    expect(await differing(tenant)).toEqual([found])
    expect((await ipop(['storage', 'verify'], { DATABASE_URL: databaseUrl })).code).toBe(1)
    await repairStorage({ db }, await differing(tenant))
    expect(await differing(tenant)).toEqual([])
    expect(await used(tenant)).toBe(700)
  })
})

describe('a quota', () => {
  test('refuses what would be kept beyond it, by name, until something is deleted', async () => {
    const tenant = await withQuota(1_000)
    const { body: file } = await upload(tenant, 1_200)
    const refused = [
      await upload(tenant, 1),
      await tenant.api.post('/batches', { input_file_id: file.id }),
      await tenant.api.post('/agent-turns', chatOf({})),
      await respond(tenant),
      await respond(tenant, { background: true }),
      await respond(tenant, { stream: true }),
      await tenant.api.post('/videos', { model: 'test/film', prompt: 'a film' }),
    ]
    for (const reply of refused) {
      expectError(reply, 403, EXCEEDED)
      expect(reply.body.error).toContain('1200 bytes and may keep 1000')
    }
    expect((await respond(tenant, { store: false })).status).toBe(200)
    expect((await tenant.api.post('/chat/completions', chatOf({}))).status).toBe(200)
    await tenant.api.delete(`/files/${file.id}`)
    expect((await respond(tenant)).status).toBe(200)
  })

  test('is one of kept replies too: calls with an Idempotency-Key need room, and are told again without', async () => {
    const tenant = await withQuota(1_000)
    const call = (key: string) =>
      tenant.api.post(CHAT, chatOf({ id: tenant.keyId, reply: 'z'.repeat(2_000) }), { 'idempotency-key': key })
    expect((await call('first')).status).toBe(200)
    expect(await kindsOf(tenant)).toEqual(['kept_replies'])
    expectError(await call('second'), 403, EXCEEDED)
    expect((await call('first')).headers.get('idempotent-replayed')).toBe('true')
    expect(await upstreamCallsOf(tenant)).toHaveLength(1)
    await setStorageQuota({ db }, tenant.userId, 10_000n)
    expect((await call('second')).status).toBe(200)
    expect(await upstreamCallsOf(tenant)).toHaveLength(2)
  })

  test('stops an upload that exceeds it while it comes, and leaves nothing of it', async () => {
    const tenant = await withQuota(9 * MIB)
    expectError(await upload(tenant, 40 * MIB), 403, EXCEEDED)
    await until(async () => (await used(tenant)) === 0)
    expect((await tenant.api.get('/files')).body.data).toEqual([])
  })

  test('is smaller for an account without credit, and set by operators', async () => {
    const { userId } = await newTenant(db, { creditUsd: '0' })
    const env = { DATABASE_URL: databaseUrl }
    const quotaOf = async (...args: string[]) =>
      (await ipopJson<{ quota_bytes: number }>(['users', 'quota', userId, ...args], env)).quota_bytes
    expect(await quotaOf()).toBe(64 * MIB)
    expect(await quotaOf('--mb', '3')).toBe(3 * MIB)
    expect(await quotaOf('--default')).toBe(64 * MIB)
    const paying = await newTenant(db)
    expect((await storageOf({ db, quotas }, paying.userId)).quotaBytes).toBe(1024n * BigInt(MIB))
  })
})

test('nothing is taken to be kept where the disk is nearly full, and all else goes on', async () => {
  const api = await ownApi({ upstreams: {}, models: {}, env: { STORAGE_LEAST_FREE_MB: '100000000' } })
  const { userId } = await newTenant(db)
  const tenant = await newKey(db, userId, {}, api.url)
  for (const reply of [await upload(tenant, 10), await respond(tenant)]) {
    expectError(reply, 503, { code: 'service_unavailable' })
    expect(reply.headers.get('retry-after')).toBe('60')
  }
  expect((await tenant.api.post('/chat/completions', chatOf({}))).status).toBe(200)
})
