import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import {
  createCredentialsOf,
  type CredentialsOf,
} from '../../../domain/inference/provider-credentials/credential-cache.ts'
import { credentialRoutes } from '../../../domain/inference/provider-credentials/credential-routes.ts'
import { createCredentialUse } from '../../../domain/inference/provider-credentials/credential-use.ts'
import { CREDENTIAL_CHANGES } from '../../../domain/inference/provider-credentials/credential.sql.ts'
import { createProject } from '../../../domain/tenancy/projects/project.service.ts'
import { readConfig, requireSecretsKeys } from '../../../infra/config.ts'
import { createSecretBox } from '../../../infra/crypto/sealing.ts'
import { openListener, type Listener } from '../../../infra/postgres/listener.ts'
import { UpstreamFailure } from '../../../infra/upstreams/upstream.ts'
import { CREDENTIALS, newCredential, patchCredential } from '../../support/credentials.ts'
import { testDatabase } from '../../support/database.ts'
import { testStack } from '../../support/stack.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'
import { launchModel, silent } from '../../unit/fixtures.ts'

const db = testDatabase()
/** How soon a change counts everywhere; the cache alone would hold it for three times as long. */
const AT_ONCE_MS = 10_000

/** This process beside the API's: what is changed there has to be known here. */
let listener: Listener
let credentialsOf: CredentialsOf
beforeAll(async () => {
  const { databaseUrl, secretsKey } = testStack()
  listener = await openListener(databaseUrl, [CREDENTIAL_CHANGES], silent)
  const secrets = createSecretBox(requireSecretsKeys(readConfig({ SECRETS_KEY: secretsKey })))
  credentialsOf = createCredentialsOf({ db, listener, secrets, log: silent })
})
afterAll(() => listener.close())

const ownerOf = ({ userId, projectId }: Tenant) => ({ userId, projectId: projectId ?? null })
const usedBy = async (tenant: Tenant, provider: 'openai' | 'anthropic' | 'deepseek' = 'openai') =>
  (await credentialsOf(ownerOf(tenant))).get(provider)
const routesOf = (tenant: Tenant, model: string) =>
  credentialRoutes({ credentialsOf }, ownerOf(tenant), launchModel(model))

describe('the routes over own keys', () => {
  test.each([
    ['openai/gpt-5.4-mini', 'openai', 'gpt-5.4-mini', 'https://api.openai.com/v1', 'openai'],
    ['claude-sonnet-4.6', 'anthropic', 'claude-sonnet-4-6', 'https://api.anthropic.com/v1', 'anthropic'],
    ['deepseek-v4-flash', 'deepseek', 'deepseek-v4-flash', 'https://api.deepseek.com', 'openai'],
  ])('of %s lead to %s', async (model, provider, native, baseUrl, wire) => {
    const tenant = await newTenant(db)
    expect(await routesOf(tenant, model)).toEqual([])
    const { id } = await newCredential(tenant.api, { provider, api_key: 'sk-its-own-0123456789' })
    const [route, ...others] = await until(async () => {
      const routes = await routesOf(tenant, model)
      return routes.length > 0 && routes
    }, AT_ONCE_MS)
    expect(others).toEqual([])
    expect(route).toEqual({
      model: native,
      credentialId: id,
      upstream: {
        id: `byok-${provider}`,
        baseUrl,
        apiKey: 'sk-its-own-0123456789',
        external: true,
        wire,
        promptCaching: provider !== 'deepseek',
        outputLimitName: provider === 'openai' ? 'max_completion_tokens' : undefined,
        userSupplied: false,
      },
    })
  })

  test("over the user's own address go through the outbound door", async () => {
    const tenant = await newTenant(db)
    await newCredential(tenant.api, { base_url: 'https://1.1.1.1/v1' })
    expect((await routesOf(tenant, 'openai/gpt-5.5'))[0]?.upstream).toMatchObject({
      baseUrl: 'https://1.1.1.1/v1',
      userSupplied: true,
    })
  })

  test.each(['grok-4.3', 'gemini-3.5-flash', 'ipop/coder-balanced'])('of %s are none', async model => {
    const tenant = await newTenant(db)
    for (const provider of ['openai', 'anthropic', 'deepseek']) await newCredential(tenant.api, { provider })
    expect(await routesOf(tenant, model)).toEqual([])
  })
})

describe('which key is used', () => {
  test('the newest that is enabled and has a key; changes count at once in another process', async () => {
    const tenant = await newTenant(db)
    const first = await newCredential(tenant.api)
    const second = await newCredential(tenant.api, { base_url: 'https://1.1.1.1/v1' })
    const untilUsed = (id: string | undefined) =>
      until(async () => {
        const used = await usedBy(tenant)
        return used?.id === id && { used }
      }, AT_ONCE_MS)
    await untilUsed(second.id)
    await patchCredential(tenant.api, second.id, { enabled: false })
    await untilUsed(first.id)
    await patchCredential(tenant.api, second.id, { enabled: true })
    await untilUsed(second.id)
    await patchCredential(tenant.api, second.id, { base_url: null })
    await untilUsed(first.id)
    await patchCredential(tenant.api, second.id, { api_key: 'sk-another-0123456789' })
    expect((await untilUsed(second.id)).used).toMatchObject({ apiKey: 'sk-another-0123456789', baseUrl: null })
    await tenant.api.delete(`${CREDENTIALS}/${second.id}`)
    await untilUsed(first.id)
    await tenant.api.delete(`${CREDENTIALS}/${first.id}`)
    await untilUsed(undefined)
  })

  test("the project's own before the account's, and nobody else's", async () => {
    const user = await newTenant(db)
    const inProject = async () =>
      newKey(db, user.userId, { projectId: (await createProject({ db }, user.userId, 'test')).id })
    const [here, there, stranger] = [await inProject(), await inProject(), await newTenant(db)]
    const own = await newCredential(here.api)
    const shared = await newCredential(user.api)
    const used = await Promise.all([here, there, user, stranger].map(tenant => usedBy(tenant)))
    expect(used.map(one => one?.id)).toEqual([own.id, shared.id, shared.id, undefined])
  })

  test('none that cannot be opened', async () => {
    const tenant = await newTenant(db)
    const kept = await newCredential(tenant.api)
    const moved = await newCredential(tenant.api)
    await db.query(
      `UPDATE provider_credentials c SET sealed_key = o.sealed_key FROM provider_credentials o
       WHERE c.id = $1::text AND o.id = $2::text`,
      [moved.id, kept.id],
    )
    expect((await usedBy(tenant))?.id).toBe(kept.id)
  })

  test('is read once while nothing changes', async () => {
    const tenant = await newTenant(db)
    await newCredential(tenant.api)
    // Other tests' changes make the cache void too.
    const [one, other] = await until(async () => {
      const both = [await credentialsOf(ownerOf(tenant)), await credentialsOf(ownerOf(tenant))]
      return both[0] === both[1] && both
    })
    expect(one).toBe(other)
  })
})

describe('what calls tell of a key', () => {
  /** With what its writes have changed. */
  function watchedUse() {
    const writes: Promise<{ rowCount: number }>[] = []
    const query = <Row>(text: string, values?: readonly unknown[]) => {
      const write = db.query<Row>(text, values)
      writes.push(write)
      return write
    }
    const changedRows = async () => (await Promise.all(writes)).map(({ rowCount }) => rowCount)
    return { use: createCredentialUse({ db: { ...db, query }, log: silent }), changedRows }
  }
  const viewOf = async ({ api }: Tenant) => (await api.get(CREDENTIALS)).body[0]

  test('a success: when it was used, at most once a minute, and that it is healthy', async () => {
    const tenant = await newTenant(db)
    const { id } = await newCredential(tenant.api)
    const before = Math.floor(Date.now() / 1000)
    const one = watchedUse()
    for (let times = 0; times < 20; times += 1) one.use.succeeded(ownerOf(tenant), id)
    expect(await one.changedRows()).toEqual([1])
    const view = await viewOf(tenant)
    expect(view.health).toBe('healthy')
    expect(view.last_used_at).toBeGreaterThanOrEqual(before)
    const inAnotherProcess = watchedUse()
    inAnotherProcess.use.succeeded(ownerOf(tenant), id)
    expect(await inAnotherProcess.changedRows()).toEqual([0])
  })

  test("is kept of the owner's alone", async () => {
    const [tenant, stranger] = [await newTenant(db), await newTenant(db)]
    const { id } = await newCredential(tenant.api)
    const { use: others, changedRows } = watchedUse()
    others.succeeded(ownerOf(stranger), id)
    others.failed(ownerOf(stranger), id, new UpstreamFailure('refused', 'x', { status: 401 }))
    expect(await changedRows()).toEqual([0, 0])
    expect(await viewOf(tenant)).toMatchObject({ health: 'untested' })
  })

  test('a refusal: status and code; other failures nothing; the next success clears it', async () => {
    const tenant = await newTenant(db)
    const { id } = await newCredential(tenant.api)
    const owner = ownerOf(tenant)
    const { use } = watchedUse()
    const untilHealth = (health: string) =>
      until(async () => {
        const seen = await viewOf(tenant)
        return seen.health === health && seen
      })
    use.succeeded(owner, id)
    await untilHealth('healthy')
    use.failed(owner, id, new UpstreamFailure('unavailable', 'x', { status: 500 }))
    use.failed(owner, id, new UpstreamFailure('refused', 'x', { status: 401, code: 'invalid_api_key', detail: 'sk-1' }))
    expect((await untilHealth('error')).last_error).toBe('refused (401 invalid_api_key)')
    use.succeeded(owner, id)
    expect(await untilHealth('healthy')).not.toHaveProperty('last_error')
  })
})
