import { createHash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { revokeApiKey } from '../../../domain/tenancy/keys/keys.service.ts'
import { disableUser, enableUser } from '../../../domain/tenancy/accounts/account.service.ts'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { apiClient, type ApiReply } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
/** How soon a change counts everywhere; a cache alone would hold a key for three times as long. */
const AT_ONCE_MS = 10_000
/** Long enough that a loaded machine uses a key before it expires. */
const LIFE_MS = 5_000

let second: ApiProcess
beforeAll(async () => void (second = await spawnApi()))
afterAll(() => second.stop())

/** The key at both API processes. */
const bothOf = ({ api, secret }: Tenant) => [api, apiClient(secret, second.url)]
const askBoth = (tenant: Tenant): Promise<ApiReply[]> => Promise.all(bothOf(tenant).map(api => api.get('/files')))
const statusesOf = async (tenant: Tenant) => (await askBoth(tenant)).map(({ status }) => status)
const untilBoth = (tenant: Tenant, status: number) =>
  until(async () => (await statusesOf(tenant)).every(one => one === status), AT_ONCE_MS)

async function expectRefused(tenant: Tenant, why: RegExp): Promise<void> {
  for (const reply of await askBoth(tenant)) {
    expect(expectError(reply, 401, { code: 'unauthorized' }).message).toMatch(why)
    expect(reply.headers.get('www-authenticate')).toBe('Bearer')
  }
}

describe('two API processes, which both know the key, refuse it at once', () => {
  test('when it is revoked, and no other one', async () => {
    const tenant = await newTenant(db)
    const other = await newKey(db, tenant.userId)
    expect(await statusesOf(tenant)).toEqual([200, 200])
    await revokeApiKey({ db }, tenant.keyId)
    await untilBoth(tenant, 401)
    await expectRefused(tenant, /revoked/)
    expect(await statusesOf(other)).toEqual([200, 200])
  })

  test('when its account is disabled, until it is enabled', async () => {
    const tenant = await newTenant(db)
    expect(await statusesOf(tenant)).toEqual([200, 200])
    await disableUser({ db }, tenant.userId)
    await untilBoth(tenant, 401)
    await expectRefused(tenant, /disabled/)
    await enableUser({ db }, tenant.userId)
    await untilBoth(tenant, 200)
  })

  test('when it expires', async () => {
    const expiresAt = new Date(Date.now() + LIFE_MS)
    const tenant = await newTenant(db, { expiresAt })
    expect(await statusesOf(tenant)).toEqual([200, 200])
    await until(async () => (await statusesOf(tenant)).every(status => status === 401), LIFE_MS + AT_ONCE_MS)
    expect(Date.now()).toBeGreaterThanOrEqual(expiresAt.getTime())
    await expectRefused(tenant, /expired/)
  })
})

test('a key works at once in every process', async () => {
  expect(await statusesOf(await newTenant(db))).toEqual([200, 200])
})

describe('the secret', () => {
  test('is stored as its SHA-256 and nothing else', async () => {
    const { keyId, secret, api } = await newTenant(db)
    expect((await api.get('/files')).status).toBe(200)
    const { rows } = await db.query<{ sha256: Buffer; hint: string; text: string }>(
      'SELECT sha256, hint, to_jsonb(k)::text AS text FROM api_keys k WHERE id = $1',
      [keyId],
    )
    expect(secret).toMatch(/^ipop_[\w-]{43}$/)
    expect(rows).toHaveLength(1)
    expect(rows[0]?.sha256).toEqual(createHash('sha256').update(secret).digest())
    expect(rows[0]?.hint).toBe(`…${secret.slice(-4)}`)
    expect(rows[0]?.text).not.toContain(secret.slice(5, 20))
    const hex = Buffer.from(secret).toString('hex')
    expect(rows[0]?.text).not.toContain(hex)
  })
})
