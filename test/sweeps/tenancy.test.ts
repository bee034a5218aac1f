import { describe, expect, test } from '@jest/globals'
import { revokeApiKey } from '../../domain/tenancy/keys/keys.service.ts'
import { disableUser, enableUser } from '../../domain/tenancy/accounts/account.service.ts'
import { createProject } from '../../domain/tenancy/projects/project.service.ts'
import { chatRow, linesOfFile, startBatch, untilBatch, untilEnded } from '../support/batches.ts'
import { callAt, insertPastCalls } from '../support/calls.ts'
import { apiClient, type ApiClient } from '../support/client.ts'
import { testDatabase } from '../support/database.ts'
import { expectError } from '../support/errors.ts'
import { fakePrompt, releaseCalls, waitForAbort, waitForCalls } from '../support/fake-upstream.ts'
import { testStack } from '../support/stack.ts'
import { newKey, newTenant } from '../support/tenants.ts'
import { until } from '../support/until.ts'

const db = testDatabase()
/** How soon a change counts everywhere; a cache alone would hold a key for three times as long. */
const AT_ONCE_MS = 10_000
const idsOf = async (api: ApiClient, path: string): Promise<string[]> =>
  ((await api.get(path)).body.data as { id: string }[]).map(one => one.id)

/** Keys of one account: of no project, of one, of another. Then one of a stranger. */
async function household() {
  const user = await newTenant(db)
  const inProject = async () => {
    const { id } = await createProject({ db }, user.userId, 'test')
    return newKey(db, user.userId, { projectId: id })
  }
  return { user, here: await inProject(), there: await inProject(), stranger: await newTenant(db) }
}
type Household = Awaited<ReturnType<typeof household>>
type Who = keyof Household

/** Who made it, and who sees it. */
const SEEN_BY: [Who, Who[]][] = [
  ['user', ['user']],
  ['here', ['user', 'here']],
  ['there', ['user', 'there']],
  ['stranger', ['stranger']],
]
const EVERYBODY: Who[] = ['user', 'here', 'there', 'stranger']

describe('who sees', () => {
  test.each(SEEN_BY)('a file of %s: %j', async (maker, seers) => {
    const keys = await household()
    const id = await keys[maker].api.upload('x')
    expect((await keys[maker].api.get(`/files/${id}`)).body).toMatchObject({
      owner_user_id: keys[maker].userId,
      project_id: keys[maker].projectId ?? null,
    })
    for (const who of EVERYBODY) {
      const isSeen = seers.includes(who)
      const { api } = keys[who]
      expect({ who, listed: await idsOf(api, '/files') }).toEqual({ who, listed: isSeen ? [id] : [] })
      const replies = [await api.get(`/files/${id}`), await api.get(`/files/${id}/content`)]
      expect({ who, statuses: replies.map(reply => reply.status) }).toEqual({
        who,
        statuses: isSeen ? [200, 200] : [404, 404],
      })
      if (!isSeen) expectError(await api.delete(`/files/${id}`), 404)
    }
    const last = seers.at(-1) ?? maker
    expect((await keys[last].api.delete(`/files/${id}`)).status).toBe(204)
  })

  test.each(SEEN_BY)('a batch of %s: %j', async (maker, seers) => {
    const keys = await household()
    const id = await startBatch(keys[maker].api, [chatRow('a', 'hello')])
    const batch = await untilEnded(keys[maker].api, id)
    expect(batch).toMatchObject({
      status: 'completed',
      owner_user_id: keys[maker].userId,
      project_id: keys[maker].projectId ?? null,
    })
    for (const who of EVERYBODY) {
      const isSeen = seers.includes(who)
      const { api } = keys[who]
      expect({ who, listed: await idsOf(api, '/batches') }).toEqual({ who, listed: isSeen ? [id] : [] })
      expect({ who, status: (await api.get(`/batches/${id}`)).status }).toEqual({ who, status: isSeen ? 200 : 404 })
      expect({ who, status: (await api.get(`/files/${batch.output_file_id}`)).status }).toEqual({
        who,
        status: isSeen ? 200 : 404,
      })
      // It has ended: those who see it are told so.
      expectError(await api.post(`/batches/${id}/cancel`), isSeen ? 409 : 404)
    }
  })

  test('usage, in records, totals and export', async () => {
    const keys = await household()
    const now = new Date()
    const costOf: Record<Who, bigint> = { user: 1n, here: 2n, there: 4n, stranger: 8n }
    await insertPastCalls(
      db,
      EVERYBODY.map(who => callAt(keys[who], now, { costNanos: costOf[who] })),
    )
    const seen: Record<Who, number> = { user: 7, here: 2, there: 4, stranger: 8 }
    for (const who of EVERYBODY) {
      for (const path of ['/usage', '/usage/export', `/usage?from=${now.toISOString()}`]) {
        const { body } = await keys[who].api.get(path)
        const recordNanos = (body.records as { cost: number }[]).reduce((sum, one) => sum + one.cost * 1e9, 0)
        expect({ who, path, total: Math.round(body.total_cost * 1e9), records: Math.round(recordNanos) }).toEqual({
          who,
          path,
          total: seen[who],
          records: seen[who],
        })
      }
    }
  })

  test('a file decides what a batch may read', async () => {
    const { here, there } = await household()
    const fileId = await here.api.upload([chatRow('a', 'hello')])
    const refused = await there.api.post('/batches', { input_file_id: fileId })
    expectError(refused, 404, { type: 'not_found', param: 'input_file_id' })
    expect(await idsOf(there.api, '/batches')).toEqual([])
  })
})

describe("another tenant's id", () => {
  test('is no cursor to its things', async () => {
    const [owner, stranger] = [await newTenant(db), await newTenant(db)]
    await owner.api.upload('x')
    await stranger.api.upload('x')
    const id = await owner.api.upload('x')
    expect(await idsOf(stranger.api, `/files?after=${id}`)).toEqual(await idsOf(stranger.api, '/files'))
  })
})

describe('a key', () => {
  test.each([
    ['was never given out', () => Promise.resolve(`ipop_${'A'.repeat(43)}`)],
    ['is of no form of ours', () => Promise.resolve('sk-something')],
    ['has expired', async () => (await newTenant(db, { expiresAt: new Date(Date.now() - 1_000) })).secret],
  ])('that %s is refused', async (_, secret) => {
    expectError(await apiClient(await secret()).get('/files'), 401, { code: 'unauthorized' })
  })

  test('that is revoked is refused at once, and its job goes on', async () => {
    const tenant = await newTenant(db)
    const other = await newKey(db, tenant.userId)
    const group = `revoke-${tenant.keyId}`
    const rows = ['a', 'b', 'c'].map(id => chatRow(id, fakePrompt({ id: group, held: true, reply: id })))
    const batchId = await startBatch(tenant.api, rows)
    await waitForCalls(testStack().upstreamUrl, group, 1)
    await revokeApiKey({ db }, tenant.keyId)
    await until(async () => (await tenant.api.get('/files')).status === 401, AT_ONCE_MS)
    expectError(await tenant.api.get(`/batches/${batchId}`), 401, { code: 'unauthorized' })
    await releaseCalls(testStack().upstreamUrl, group)
    const batch = await untilEnded(other.api, batchId)
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 3, completed: 3, failed: 0 } })
    const lines = await linesOfFile(other.api, batch.output_file_id)
    expect(lines.map(line => line.response.body.choices[0].message.content)).toEqual(['a', 'b', 'c'])
  })
})

describe('a disabled account', () => {
  test('has its keys refused at once and its batches cancelled', async () => {
    const tenant = await newTenant(db)
    const other = await newKey(db, tenant.userId)
    const group = `disable-${tenant.keyId}`
    const rows = Array.from({ length: 5 }, (_, index) => chatRow(`r${index}`, fakePrompt({ group, hang: true })))
    const batchId = await startBatch(tenant.api, rows)
    await waitForCalls(testStack().upstreamUrl, group, 1)
    await disableUser({ db }, tenant.userId)
    await until(async () => (await tenant.api.get('/files')).status === 401, AT_ONCE_MS)
    for (const key of [tenant, other]) expectError(await key.api.get('/files'), 401, { code: 'unauthorized' })
    await waitForAbort(testStack().upstreamUrl, group)

    await enableUser({ db }, tenant.userId)
    await until(async () => (await tenant.api.get('/files')).status === 200, AT_ONCE_MS)
    const batch = await untilBatch(tenant.api, batchId, ({ status }) => status === 'cancelled')
    expect(batch.request_counts).toEqual({ total: 5, completed: 0, failed: 5 })
    const lines = await linesOfFile(tenant.api, batch.error_file_id)
    expect(lines.map(line => line.error.code)).toEqual(Array(5).fill('batch_cancelled'))
  })
})
