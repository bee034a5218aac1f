import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { CHAT, chatOf } from '../../support/chats.ts'
import { apiClient, type ApiClient } from '../../support/client.ts'
import { CREDENTIALS, newCredential, patchCredential } from '../../support/credentials.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakeCalls } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant, type TenantOptions } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
/** How soon a change counts everywhere; a cache alone would hold it for three times as long. */
const AT_ONCE_MS = 10_000
const { upstreamUrl } = testStack()

/** An API that lets users name private addresses: the fake upstream is their provider too. */
let lenient: ApiProcess
beforeAll(async () => void (lenient = await spawnApi({ OUTBOUND_ALLOW_PRIVATE: 'true' })))
afterAll(() => lenient.stop())

async function withOwnKey(options: TenantOptions = {}) {
  const tenant = await newTenant(db, { ...options, apiUrl: lenient.url })
  const { id } = await newCredential(tenant.api, { base_url: upstreamUrl })
  return { tenant, credentialId: id }
}
const ask = (api: ApiClient, { keyId }: Tenant, script: object = {}, metadata: object = {}) =>
  api.post(CHAT, chatOf({ id: keyId, ...script }, { model: 'test/byok', metadata }))
const modelsAsked = async ({ keyId }: Tenant) => (await fakeCalls(upstreamUrl, keyId)).map(({ model }) => model)

interface Recorded {
  credential_id: string | null
  provider_billed: boolean
  upstream: string
  cost_nanos: bigint
}
async function recorded(requestId: string): Promise<Recorded | undefined> {
  const text = 'SELECT credential_id, provider_billed, upstream, cost_nanos FROM inference_requests WHERE id = $1::uuid'
  return (await db.query<Recorded>(text, [requestId])).rows[0]
}

describe('a call over the own key', () => {
  test('goes to the provider under its own model id, costs no credit, and is recorded as such', async () => {
    const { tenant, credentialId } = await withOwnKey({ creditUsd: '0' })
    const { status, body } = await ask(tenant.api, tenant, { reply: 'mine' })
    expect({ status, text: body.choices?.[0].message.content }).toEqual({ status: 200, text: 'mine' })
    expect(body.model).toBe('test/byok')
    expect(body.ipop.cost_usd).toBe(0)
    expect(await modelsAsked(tenant)).toEqual(['byok-native'])
    expect(await recorded(body.ipop.request_id)).toMatchObject({
      credential_id: credentialId,
      provider_billed: true,
      upstream: 'byok-openai',
      cost_nanos: 0n,
    })
    const [view] = await until(async () => {
      const { body: views } = await tenant.api.get(CREDENTIALS)
      return views[0].last_used_at !== undefined && views
    })
    expect(view).toMatchObject({ health: 'healthy' })
  })

  test('that the provider refuses marks the credential; the next route answers', async () => {
    const { tenant } = await withOwnKey()
    const script = { status: 401, errorCode: 'invalid_api_key', failTimes: 1 }
    expect((await ask(tenant.api, tenant, script)).status).toBe(200)
    expect(await modelsAsked(tenant)).toEqual(['byok-native', 'test/byok'])
    const [view] = await until(async () => {
      const { body: views } = await tenant.api.get(CREDENTIALS)
      return views[0].health === 'error' && views
    })
    expect(view.last_error).toBe('refused (401 invalid_api_key)')
  })

  test('alone that the provider refuses is a 409 that names the credential', async () => {
    const { tenant, credentialId } = await withOwnKey()
    const refused = await ask(tenant.api, tenant, { status: 401 }, { byok_fallback_policy: 'byok_only' })
    const { message } = expectError(refused, 409, { type: 'provider_credential_refused' })
    expect(message).toContain(credentialId)
    expect(await modelsAsked(tenant)).toEqual(['byok-native'])
  })

  test('that the provider rejects is told in its words, without keys and addresses; one on ours is not', async () => {
    const { tenant } = await withOwnKey()
    const errorMessage =
      'No voice for org-AbC123xyz with sk-proj-abc123def456ghi789jkl at https://eu-7.test/v1, says Ada'
    const own = await ask(tenant.api, tenant, { status: 400, errorMessage })
    const ours = await ask(tenant.api, tenant, { status: 400, errorMessage }, { byok_fallback_policy: 'hosted_only' })
    const [told, hidden] = [own, ours].map(reply => expectError(reply, 400, { type: 'rejected_by_model' }).message)
    expect(told).toBe('No voice for [id] with [api_key] at [url] says Ada')
    expect(hidden).toBe('The model does not accept this request.')
  })

  test('is not made where the key is disabled or dropped', async () => {
    const { tenant, credentialId } = await withOwnKey()
    const only = { byok_fallback_policy: 'byok_only' }
    expect((await ask(tenant.api, tenant, {}, only)).status).toBe(200)
    await patchCredential(tenant.api, credentialId, { enabled: false })
    await until(async () => (await ask(tenant.api, tenant, {}, only)).status === 409, AT_ONCE_MS)
    await patchCredential(tenant.api, credentialId, { enabled: true, base_url: null })
    const refused = await ask(tenant.api, tenant, {}, only)
    expectError(refused, 409, { code: 'capacity_unavailable', type: 'no_provider_credential' })
  })

  test('to a private address is not made where that is not allowed', async () => {
    const { tenant } = await withOwnKey()
    const strict = apiClient(tenant.secret)
    const reply = await ask(strict, tenant, {}, { byok_fallback_policy: 'byok_only' })
    expectError(reply, 503, { code: 'service_unavailable' })
    expect(await modelsAsked(tenant)).toEqual([])
  })

  test("is never made with another tenant's key", async () => {
    await withOwnKey()
    const stranger = await newTenant(db, { apiUrl: lenient.url })
    expect((await ask(stranger.api, stranger)).status).toBe(200)
    expect(await modelsAsked(stranger)).toEqual(['test/byok'])
  })
})
