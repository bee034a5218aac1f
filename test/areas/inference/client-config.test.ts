import { beforeAll, describe, expect, test } from '@jest/globals'
import { createApiKey } from '../../../domain/tenancy/keys/keys.service.ts'
import { apiClient, type ApiReply } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { useOwnApi, type OwnApi } from '../../support/own-api.ts'
import { testStack } from '../../support/stack.ts'
import { newKey, newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const { apiUrl } = testStack()
const CLIENTS = ['opencode', 'hermes']
const TWO = ['test/plain', 'claude-sonnet-4.6']
const pathOf = (client: string) => `/client-config/${client}`

describe('a config of OpenCode', () => {
  test('is a whole provider with the models of the key', async () => {
    const { api, secret } = await newTenant(db, { allowedModels: [...TWO, 'test/embed'] })
    const { status, body } = await api.get(pathOf('opencode'))
    expect(status).toBe(200)
    expect(body).toMatchObject({ object: 'agent_client_config', client: 'opencode' })
    expect(body.config).toEqual({
      $schema: 'https://opencode.ai/config.json',
      model: 'ipop/claude-sonnet-4.6',
      small_model: 'ipop/claude-sonnet-4.6',
      provider: {
        ipop: {
          npm: '@ai-sdk/openai-compatible',
          name: 'IPOP',
          options: { baseURL: `${apiUrl}/v1`, apiKey: secret },
          models: {
            'claude-sonnet-4.6': {
              name: 'Claude Sonnet 4.6',
              attachment: true,
              reasoning: true,
              tool_call: true,
              modalities: { input: ['text', 'image'], output: ['text'] },
              limit: { context: 1_000_000, output: 128_000 },
              cost: { input: 3, output: 15, cache_read: 0.3, cache_write: 3.75 },
            },
            'test/plain': expect.objectContaining({ limit: { context: 100_000, output: 1_000 } }),
          },
        },
      },
    })
    expect(body.redacted_config.provider.ipop.options).toEqual({
      baseURL: `${apiUrl}/v1`,
      apiKey: '{env:IPOP_API_KEY}',
    })
  })
})

describe('a config of Hermes', () => {
  test('is a named provider with the windows of the key’s models', async () => {
    const { api, secret } = await newTenant(db, { allowedModels: TWO })
    const { body } = await api.get(pathOf('hermes'))
    const provider = {
      name: 'ipop',
      base_url: `${apiUrl}/v1`,
      key_env: 'IPOP_API_KEY',
      api_mode: 'chat_completions',
      model: 'claude-sonnet-4.6',
      models: { 'claude-sonnet-4.6': { context_length: 1_000_000 }, 'test/plain': { context_length: 100_000 } },
    }
    const model = { default: 'claude-sonnet-4.6', provider: 'custom:ipop' }
    expect(body.config).toEqual({ model, custom_providers: [{ ...provider, api_key: secret }] })
    expect(body.redacted_config).toEqual({ model, custom_providers: [provider] })
  })
})

describe.each(CLIENTS)('the config of %s', client => {
  test('holds the key that the request carried, in either header, and is not to be kept', async () => {
    const { secret } = await newTenant(db)
    for (const headers of [{ 'x-api-key': secret }, { authorization: `Bearer ${secret}` }]) {
      const reply = await apiClient(undefined).get(pathOf(client), headers)
      expect(reply.headers.get('cache-control')).toBe('no-store')
      expect(reply.text.split(secret)).toHaveLength(2)
      expect(JSON.stringify(reply.body.config)).toContain(secret)
    }
  })

  test('has no key in it where it is asked to have none', async () => {
    const { api, secret } = await newTenant(db)
    const { body, text, headers } = await api.get(`${pathOf(client)}?redact_secrets=true`)
    expect(text).not.toContain(secret)
    expect(body.config).toEqual(body.redacted_config)
    expect(headers.get('cache-control')).toBe('no-store')
    const raw = (await api.get(`${pathOf(client)}?redact_secrets=false`)).body
    expect(raw.redacted_config).toEqual(body.config)
    expect(raw.validation).toEqual(body.validation)
  })

  test('is fresh by its fingerprint for every key of the same rules, and stale for one of others', async () => {
    const { api, userId } = await newTenant(db)
    const { validation } = (await api.get(pathOf(client))).body
    const ask = async (one = api): Promise<ApiReply['body']> =>
      (await one.get(`${pathOf(client)}/freshness?fingerprint=${validation.fingerprint}`)).body
    expect(validation.freshness_url).toBe(`${apiUrl}/v1${pathOf(client)}/freshness`)
    expect(await ask()).toEqual({
      object: 'agent_client_config_freshness',
      client,
      fingerprint: validation.fingerprint,
      fresh: true,
      refresh_recommended: false,
      selected_model_id: validation.selected_model_id,
    })
    expect(await ask((await newKey(db, userId)).api)).toMatchObject({ fresh: true })
    const narrower = await newKey(db, userId, { allowedModels: TWO })
    expect(await ask(narrower.api)).toMatchObject({ fresh: false, refresh_recommended: true })
  })

  test('leaves out what may not be used without external processing', async () => {
    const { api } = await newTenant(db, { externalProcessing: false, allowedModels: TWO })
    const { config, validation } = (await api.get(pathOf(client))).body
    expect(validation.selected_model_id).toBe('test/plain')
    expect(JSON.stringify(config)).not.toContain('claude')
  })

  test('is a conflict where no model is left', async () => {
    const { api } = await newTenant(db, { allowedModels: ['test/embed'] })
    const refused = await api.get(pathOf(client))
    expectError(refused, 409, { code: 'model_unavailable', type: 'no_agent_model' })
    expect(refused.headers.get('x-should-retry')).toBe('false')
    expectError(await api.get(`${pathOf(client)}/freshness?fingerprint=x`), 409, { code: 'model_unavailable' })
  })
})

describe('an agent', () => {
  test('is told what is served, and nothing that is not', async () => {
    const { api } = await newTenant(db, { allowedModels: [...TWO, 'test/embed', 'test/bare'] })
    const { status, body } = await api.get('/agent-capabilities')
    expect(status).toBe(200)
    expect(body.model_ids).toEqual(['claude-sonnet-4.6', 'test/plain'])
    expect(body.default_model_id).toBe('claude-sonnet-4.6')
    expect(body.urls.base).toBe(`${apiUrl}/v1`)
    expect(body.resumable_turns).toEqual({
      supported: true,
      resume_by: ['after_event_seq', 'Last-Event-ID'],
      cancel: true,
    })
    const served = (await api.get('/openapi.json')).body.paths as Record<string, object>
    const { base, ...urls } = body.urls as Record<string, string>
    expect(Object.keys(served)).toEqual(
      expect.arrayContaining(Object.values(urls).map(url => url.replace(base ?? '', ''))),
    )
    expect(body.orchestration.supported).toBe(Object.hasOwn(served, '/orchestrations'))
    for (const name of body.streaming.operations as string[]) {
      const [method = '', path = ''] = name.split(' ')
      expect(served[path]).toHaveProperty([method.toLowerCase(), 'responses', '200', 'content', 'text/event-stream'])
    }
    for (const { config_url: url, freshness_url: freshness } of body.client_configs as Record<string, string>[]) {
      expect((await api.get((url ?? '').replace(`${apiUrl}/v1`, ''))).status).toBe(200)
      expect((await api.get(`${(freshness ?? '').replace(`${apiUrl}/v1`, '')}?fingerprint=x`)).body.fresh).toBe(false)
    }
  })

  test('knows by a fingerprint whether that has changed', async () => {
    const { api, userId } = await newTenant(db)
    const printOf = async (one = api) => (await one.get('/agent-capabilities')).body.capability_fingerprint
    expect(await printOf((await newKey(db, userId)).api)).toBe(await printOf())
    expect(await printOf((await newKey(db, userId, { allowedModels: TWO })).api)).not.toBe(await printOf())
  })

  test('is told that there is nothing to use, where that is so', async () => {
    const { api } = await newTenant(db, { allowedModels: ['test/embed'] })
    const { body } = await api.get('/agent-capabilities')
    expect(body).toMatchObject({ model_ids: [], tool_calls: { supported: false, parallel_model_ids: [] } })
    expect(body).not.toHaveProperty('default_model_id')
  })
})

describe('the key in a config', () => {
  let own: OwnApi
  const use = useOwnApi()
  beforeAll(async () => {
    own = await use({ upstreams: {}, models: {}, env: { LOG_LEVEL: 'trace', PUBLIC_URL: 'https://api.test/' } })
  })

  test('is in no log and no table, and the address is the public one', async () => {
    const { userId } = await newTenant(db)
    const { secret, key } = await createApiKey({ db }, { userId, name: 'test' })
    for (const client of CLIENTS) {
      const reply = await apiClient(secret, own.url).get(pathOf(client))
      expect(reply.text).toContain(secret)
      expect(reply.text).toContain('https://api.test/v1')
      const logs = await own.logsAfter(reply)
      expect(logs).toContain(key.id)
      expect(logs).not.toContain(secret)
    }
    const { rows } = await db.query<{ row: string }>('SELECT k::text AS row FROM api_keys k WHERE id = $1', [key.id])
    expect(rows[0]?.row).not.toContain(secret)
  })
})
