import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { createProject } from '../../../domain/tenancy/projects/project.service.ts'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { apiClient, type ApiClient } from '../../support/client.ts'
import { credentialOf, CREDENTIALS, newCredential, patchCredential } from '../../support/credentials.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { startProvider, type FakeProvider } from '../../support/fake-provider.ts'
import { rowCounts } from '../../support/row-counts.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'

const db = testDatabase()
const KEY = 'sk-test-0123456789abcdef'
const HOSTILE_URLS = [
  'http://1.1.1.1/v1',
  'https://127.0.0.1/v1',
  'https://[::1]/v1',
  'https://169.254.169.254/latest',
  'https://[::ffff:10.0.0.1]/v1',
  'https://100.64.0.1',
  'https://localhost/v1',
  'https://no-such-host.invalid/v1',
  'https://user:pw@1.1.1.1/v1',
  'https://1.1.1.1:8443/v1',
  'https://1.1.1.1/v1?key=x',
  'https://1.1.1.1/v1#x',
  'ftp://1.1.1.1',
  'javascript:alert(1)',
  'api.example',
  '',
]

/** An API that lets users name private addresses, where the provider is. */
let lenient: ApiProcess
let provider: FakeProvider
beforeAll(async () => {
  provider = await startProvider()
  lenient = await spawnApi({ OUTBOUND_ALLOW_PRIVATE: 'true' })
})
afterAll(async () => {
  await lenient.stop()
  await provider.close()
})
const lenientOf = ({ secret }: Tenant): ApiClient => apiClient(secret, lenient.url)

interface StoredRow {
  base_url: string | null
  secrets_key_id: string | null
  text: string
}
async function stored(id: string): Promise<StoredRow | undefined> {
  const text =
    'SELECT base_url, secrets_key_id, to_jsonb(c)::text AS text FROM provider_credentials c WHERE id = $1::text'
  return (await db.query<StoredRow>(text, [id])).rows[0]
}

describe('a credential', () => {
  test('is kept sealed, shown masked, and listed, the newest first', async () => {
    const { api } = await newTenant(db)
    const first = await newCredential(api, { label: 'work' })
    const second = await newCredential(api, { provider: 'anthropic', base_url: 'https://1.1.1.1:80/v1//' })
    expect(first).toEqual({
      id: expect.stringMatching(/^cred_[0-9a-f]{32}$/),
      provider: 'openai',
      label: 'work',
      masked_key: 'sk-…cdef',
      enabled: true,
      health: 'untested',
    })
    expect((await api.get(CREDENTIALS)).body).toEqual([second, first])
    expect((await stored(second.id))?.base_url).toBe('https://1.1.1.1:80/v1')
    const { text = '' } = (await stored(first.id)) ?? {}
    expect(text).not.toContain(KEY.slice(3, 12))
    expect(text).not.toContain(Buffer.from(KEY).toString('hex'))
  })

  test('is changed in what is named alone', async () => {
    const { api } = await newTenant(db)
    const made = await newCredential(api)
    expect((await patchCredential(api, made.id, {})).body).toEqual(made)
    expect((await patchCredential(api, made.id, { label: 'new' })).body).toEqual({ ...made, label: 'new' })
    const disabled = { ...made, label: 'new', enabled: false, health: 'disabled' }
    expect((await patchCredential(api, made.id, { enabled: false })).body).toEqual(disabled)
    const replaced = await patchCredential(api, made.id, { enabled: true, api_key: `${KEY}-9999` })
    expect(replaced.body).toEqual({ ...made, label: 'new', masked_key: 'sk-…9999' })
  })

  test('loses its key to another address, unless a new one comes along', async () => {
    const { api } = await newTenant(db)
    const made = await newCredential(api, { base_url: 'https://1.1.1.1/v1' })
    const url = (base_url: string | null, more: object = {}) =>
      patchCredential(api, made.id, { base_url, ...more }).then(reply => reply.body)
    expect(await url('https://1.1.1.1/v1/')).toEqual(made)
    const keyless = { ...made, masked_key: '', last_error: expect.stringMatching(/no key.*base_url.*api_key/) }
    expect(await url('https://1.0.0.1/v1')).toEqual(keyless)
    expect((await stored(made.id))?.secrets_key_id).toBeNull()
    expect(await url('https://1.1.1.1/v1')).toEqual(keyless)
    expect((await patchCredential(api, made.id, { api_key: KEY })).body).toEqual(made)
    expect(await url('https://1.0.0.1/v1', { api_key: `${KEY}-9999` })).toEqual({ ...made, masked_key: 'sk-…9999' })
    expect(await url(null)).toEqual(keyless)
    expect((await stored(made.id))?.base_url).toBeNull()
  })

  test('is gone when it is deleted', async () => {
    const { api } = await newTenant(db)
    const made = await newCredential(api)
    const deleted = await api.delete(`${CREDENTIALS}/${made.id}`)
    expect({ status: deleted.status, body: deleted.body }).toEqual({ status: 200, body: made })
    expect(await stored(made.id)).toBeUndefined()
    expect((await api.get(CREDENTIALS)).body).toEqual([])
    for (const reply of [
      await api.delete(`${CREDENTIALS}/${made.id}`),
      await patchCredential(api, made.id, { label: 'x' }),
      await api.post(`${CREDENTIALS}/${made.id}/test`),
    ]) {
      expectError(reply, 404, { type: 'not_found', param: 'credential_id' })
    }
  })

  test('is one of a hundred of an account', async () => {
    const { api, userId } = await newTenant(db)
    await db.query(
      `INSERT INTO provider_credentials (id, user_id, provider, label, masked_key)
       SELECT 'cred_' || md5($1::text || n), $1::text, 'openai', 'x', '' FROM generate_series(1, 99) n`,
      [userId],
    )
    await newCredential(api)
    expectError(await api.post(CREDENTIALS, credentialOf()), 409, { type: 'conflict' })
  })
})

describe('bad input leaves nothing and changes nothing', () => {
  test.each(HOSTILE_URLS)('base_url %j', async base_url => {
    const { api, userId } = await newTenant(db)
    const made = await newCredential(api)
    expectError(await api.post(CREDENTIALS, credentialOf({ base_url })), 400, { param: 'base_url' })
    expectError(await patchCredential(api, made.id, { base_url, label: 'x' }), 400, { param: 'base_url' })
    expect((await api.get(CREDENTIALS)).body).toEqual([made])
    expect(await rowCounts(db, userId)).toMatchObject({ provider_credentials: 1 })
  })

  test.each([
    ['label', ''],
    ['label', '  '],
    ['label', 'a\u0000b'],
    ['label', 'a\nb'],
    ['label', '\ud800'],
    ['label', 'x'.repeat(201)],
    ['api_key', 'short'],
    ['api_key', 'with a space'],
    ['api_key', 'sk-line\r\nx-header: 1'],
    ['api_key', 'schlüssel-schlüssel'],
    ['api_key', 'x'.repeat(1_025)],
    ['health', 'healthy'],
    ['masked_key', 'x'],
  ])('%s %j', async (field, value) => {
    const { api } = await newTenant(db)
    const made = await newCredential(api)
    for (const reply of [
      await api.post(CREDENTIALS, { ...credentialOf(), [field]: value }),
      await patchCredential(api, made.id, { [field]: value }),
    ]) {
      const error = expectError(reply, 400, { code: 'bad_request', param: field })
      expect(field === 'api_key' && error.error.includes(value)).toBe(false)
    }
    expect((await api.get(CREDENTIALS)).body).toEqual([made])
  })
})

describe('a test', () => {
  const test1 = async (tenant: Tenant, id: string) => lenientOf(tenant).post(`${CREDENTIALS}/${id}/test`)
  const made = (tenant: Tenant, more: object = {}) =>
    newCredential(lenientOf(tenant), { base_url: provider.url, ...more })

  test.each([
    ['openai', { authorization: `Bearer ${KEY}` }],
    ['deepseek', { authorization: `Bearer ${KEY}` }],
    ['anthropic', { 'x-api-key': KEY, 'anthropic-version': '2023-06-01' }],
  ])('of %s asks for the models with the key and keeps that it is healthy', async (name, headers) => {
    const tenant = await newTenant(db)
    const { id } = await made(tenant, { provider: name })
    const asked = provider.next(200, { data: [] })
    const before = Math.floor(Date.now() / 1000)
    const { status, body } = await test1(tenant, id)
    expect({ status, body }).toEqual({
      status: 200,
      body: {
        ok: true,
        message: expect.stringMatching(/accepted/),
        credential: expect.objectContaining({ id, health: 'healthy', last_tested_at: expect.any(Number) }),
      },
    })
    expect(body.credential.last_tested_at).toBeGreaterThanOrEqual(before)
    expect(body.credential).not.toHaveProperty('last_error')
    expect(await asked).toMatchObject({ method: 'GET', url: '/v1/models', headers })
    expect((await tenant.api.get(CREDENTIALS)).body).toEqual([body.credential])
  })

  test.each<[number, unknown, string]>([
    [401, { error: { code: 'invalid_api_key', message: `Incorrect key ${KEY}` } }, 'refused (401 invalid_api_key)'],
    [401, { error: { code: KEY } }, 'refused (401)'],
    [403, 'not JSON', 'refused (403)'],
    [404, {}, 'unknown_model (404)'],
    [429, {}, 'rate_limited (429)'],
    [302, {}, 'unavailable (302)'],
    [500, { error: { type: 'server_error' } }, 'unavailable (500 server_error)'],
  ])('that is answered with %i keeps status and code, no content', async (status, reply, kept) => {
    const tenant = await newTenant(db)
    const { id } = await made(tenant)
    void provider.next(status, reply, { location: 'http://127.0.0.1:1/' })
    const { body, text } = await test1(tenant, id)
    expect(body).toMatchObject({ ok: false, credential: { health: 'error', last_error: kept } })
    expect(body.message).toContain(kept)
    expect(text).not.toContain(KEY)
    expect((await stored(id))?.text).not.toContain('Incorrect')
    void provider.next(200, {})
    expect((await test1(tenant, id)).body.credential).toMatchObject({ health: 'healthy' })
  })

  test('of an address that is private is not made where that is not allowed', async () => {
    const tenant = await newTenant(db)
    const { id } = await made(tenant)
    const before = provider.requests()
    const { body } = await tenant.api.post(`${CREDENTIALS}/${id}/test`)
    expect(body).toMatchObject({ ok: false, credential: { health: 'error', last_error: 'unavailable' } })
    expect(provider.requests()).toBe(before)
  })

  test('without a key calls nobody and says why', async () => {
    const tenant = await newTenant(db)
    const { id } = await made(tenant)
    await patchCredential(lenientOf(tenant), id, { base_url: `${provider.url}/other` })
    const before = provider.requests()
    const { body } = await test1(tenant, id)
    expect(body).toMatchObject({
      ok: false,
      message: expect.stringMatching(/no key/),
      credential: { health: 'untested', masked_key: '' },
    })
    expect(provider.requests()).toBe(before)
  })

  test.each([
    ['another credential', (tenant: Tenant) => made(tenant)],
    ["another tenant's", async () => made(await newTenant(db))],
  ])('of a key that was sealed for %s says so, and no more', async (_, makeOther) => {
    const tenant = await newTenant(db)
    const [one, other] = [await made(tenant), await makeOther(tenant)]
    await db.query(
      `UPDATE provider_credentials c SET sealed_key = o.sealed_key FROM provider_credentials o
       WHERE c.id = $1::text AND o.id = $2::text`,
      [one.id, other.id],
    )
    const before = provider.requests()
    const { body } = await test1(tenant, one.id)
    expect(body).toMatchObject({ ok: false, message: expect.stringMatching(/cannot be opened/) })
    expect(provider.requests()).toBe(before)
  })

  test('of a key that is replaced meanwhile says nothing of the new one', async () => {
    const tenant = await newTenant(db)
    const { id } = await made(tenant)
    const held = provider.hold(401, {})
    const testing = test1(tenant, id)
    await held.asked
    await patchCredential(lenientOf(tenant), id, { api_key: `${KEY}-new` })
    held.release()
    expect((await testing).body).toMatchObject({ ok: false, credential: { health: 'untested' } })
  })

  test('leaves no key in the logs', async () => {
    const tenant = await newTenant(db)
    const { id } = await made(tenant)
    void provider.next(401, { error: { message: KEY, code: KEY } })
    await test1(tenant, id)
    const logs = await lenient.logsAfter(
      await patchCredential(lenientOf(tenant), id, { api_key: `${KEY} `, label: KEY }),
    )
    expect(logs).toContain('/account/provider-credentials/{credential_id}/test')
    expect(logs).not.toContain(KEY)
  })
})

describe('who sees and changes', () => {
  async function household() {
    const user = await newTenant(db)
    const inProject = async () => {
      const { id } = await createProject({ db }, user.userId, 'test')
      return newKey(db, user.userId, { projectId: id })
    }
    return { user, here: await inProject(), there: await inProject(), stranger: await newTenant(db) }
  }
  const idsOf = async ({ api }: Tenant): Promise<string[]> =>
    (await api.get<{ id: string }[]>(CREDENTIALS)).body.map(one => one.id)
  const changes = (id: string, { api }: Tenant) => [
    () => patchCredential(api, id, { label: 'theirs' }),
    () => api.delete(`${CREDENTIALS}/${id}`),
  ]

  test("a project's are its own", async () => {
    const { user, here, there, stranger } = await household()
    const { id } = await newCredential(here.api)
    expect(await idsOf(here)).toEqual([id])
    for (const other of [user, there, stranger]) {
      expect(await idsOf(other)).toEqual([])
      for (const change of [...changes(id, other), () => other.api.post(`${CREDENTIALS}/${id}/test`)]) {
        expectError(await change(), 404, { type: 'not_found', param: 'credential_id' })
      }
    }
    expect((await patchCredential(here.api, id, { label: 'mine' })).body).toMatchObject({ label: 'mine' })
    expect((await here.api.delete(`${CREDENTIALS}/${id}`)).status).toBe(200)
  })

  test("the account's are seen by all its keys and changed by those without a project", async () => {
    const { user, here, there, stranger } = await household()
    const made = await newCredential(user.api)
    for (const project of [here, there]) {
      expect(await idsOf(project)).toEqual([made.id])
      for (const change of changes(made.id, project)) {
        expectError(await change(), 403, { code: 'policy_violation', param: 'credential_id' })
      }
    }
    for (const change of changes(made.id, stranger)) expectError(await change(), 404)
    expect((await user.api.get(CREDENTIALS)).body).toEqual([made])
    expect((await user.api.delete(`${CREDENTIALS}/${made.id}`)).status).toBe(200)
  })
})
