import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, test } from '@jest/globals'
import { LAUNCH_MODEL_IDS, type Model } from '../../../domain/inference/catalog/catalog.schema.ts'
import { apiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { rawRequest } from '../../support/raw-request.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const nobody = apiClient(undefined)
const EMBEDDING_ID = 'terminaili/embed-balanced'
const idsOf = (models: { id: string }[]) => models.map(model => model.id)

describe('the list', () => {
  test('has the launch ids, with include_unavailable', async () => {
    const { status, body } = await nobody.get<{ data: Model[] }>('/models?include_unavailable=true')
    expect(status).toBe(200)
    expect(LAUNCH_MODEL_IDS).toHaveLength(21)
    expect(idsOf(body.data)).toEqual(expect.arrayContaining([...LAUNCH_MODEL_IDS, EMBEDDING_ID, 'test/unrouted']))
    expect(new Set(idsOf(body.data)).size).toBe(body.data.length)
  })

  test.each(['/models', '/models?include_unavailable=false', '/models?ready=true'])(
    '%s leaves out what cannot be used',
    async path => {
      const { body } = await nobody.get<{ data: Model[] }>(path)
      expect(idsOf(body.data)).toContain('test/plain')
      expect(idsOf(body.data)).not.toContain('test/unrouted')
      expect(body.data.every(model => model.available)).toBe(true)
    },
  )

  test('has one default, and groups of ids that it lists', async () => {
    const { body } = await nobody.get('/models?include_unavailable=true')
    const models = body.data as Model[]
    expect(idsOf(models.filter(model => model.is_default))).toEqual(['ipop/coder-balanced'])
    const groups = Object.fromEntries(
      (body.groups as { id: string; model_ids: string[] }[]).map(group => [group.id, group.model_ids]),
    )
    expect(Object.keys(groups)).toEqual(['recommended', 'tier_1', 'tier_2', 'embeddings'])
    expect(groups['embeddings']).toEqual(expect.arrayContaining([EMBEDDING_ID, 'test/embed']))
    for (const tier of ['recommended', 'tier_1', 'tier_2']) {
      const ofTier = models.filter(model => model.catalog_tier === tier && model.supports_chat === true)
      expect(groups[tier]).toEqual(idsOf(ofTier))
      expect(groups[tier]?.length).toBeGreaterThan(3)
    }
    const ready = await nobody.get('/models')
    expect((ready.body.groups as { model_ids: string[] }[]).flatMap(group => group.model_ids)).not.toContain(
      'test/unrouted',
    )
  })

  test('has what the key may use, and no more', async () => {
    const { api } = await newTenant(db, { allowedModels: ['test/plain', 'claude-sonnet-4.6'] })
    const { body } = await api.get('/models?include_unavailable=true')
    expect(idsOf(body.data).toSorted()).toEqual(['claude-sonnet-4.6', 'test/plain'])
    expect((body.groups as { model_ids: string[] }[]).flatMap(group => group.model_ids)).toEqual(['claude-sonnet-4.6'])
    expectError(await apiClient(`ipop_${'x'.repeat(43)}`).get('/models'), 401, { code: 'unauthorized' })
  })
})

describe('one model', () => {
  test.each([
    ['claude-sonnet-4.6', 'claude-sonnet-4.6'],
    ['openai/gpt-5.5', 'openai/gpt-5.5'],
    ['openai%2Fgpt-5.5', 'openai/gpt-5.5'],
    ['openai%2fgpt-5.5', 'openai/gpt-5.5'],
    ['ipop/coder-balanced', 'ipop/coder-balanced'],
    ['terminaili%2Fembed-balanced', EMBEDDING_ID],
  ])('at %s is %s', async (path, id) => {
    const reply = await rawRequest('GET', `/models/${path}?include_unavailable=true`)
    expect({ status: reply.status, id: JSON.parse(reply.text).id }).toEqual({ status: 200, id })
  })

  test.each(['no-such-model', 'openai/no-such', 'openai%2Fno-such', 'openai/gpt-5.5/more', 'OPENAI/GPT-5.5'])(
    '%s is not known',
    async id => {
      const reply = await rawRequest('GET', `/models/${id}?include_unavailable=true`)
      expectError(reply, 404, { code: 'model_unavailable', type: 'model_not_found' })
    },
  )

  test('that is not usable now is a conflict, unless it is asked for', async () => {
    expectError(await nobody.get('/models/test/unrouted'), 409, { code: 'model_unavailable', type: 'not_enabled' })
    expectError(await nobody.get('/models/test/unrouted?ready=true'), 409, { code: 'model_unavailable' })
    const { body } = await nobody.get('/models/test/unrouted?include_unavailable=true')
    expect(body).toMatchObject({ available: false, status: 'not_enabled' })
  })

  test('has its facts and price cards, a batch at half the price', async () => {
    const { body } = await nobody.get('/models/claude-sonnet-4.6?include_unavailable=true')
    expect(body).toMatchObject({
      object: 'model',
      input_token_rate: 3,
      output_token_rate: 15,
      max_input_tokens: 1_000_000,
      max_output_tokens: 128_000,
      supports_vision: true,
      supports_tools: true,
      supports_json_schema: true,
      supports_reasoning: true,
      supports_embeddings: false,
      is_default: false,
    })
    const card = { public_model_id: 'claude-sonnet-4.6', provider_model_id: 'anthropic/claude-sonnet-4.6' }
    expect(body.price_cards).toMatchObject([
      { ...card, service_tier: 'standard', input_token_rate: 3, cached_input_token_rate: 0.3, output_token_rate: 15 },
      { ...card, service_tier: 'batch', input_token_rate: 1.5, cached_input_token_rate: 0.15, output_token_rate: 7.5 },
    ])
  })
})

describe('/status', () => {
  test('tells of every enabled model, and of the others when asked', async () => {
    const { body } = await nobody.get('/status')
    expect(body).toMatchObject({ object: 'ipop.status', status: expect.stringMatching(/^(available|degraded)$/) })
    expect(Math.abs(body.generated_at_unix - Date.now() / 1000)).toBeLessThan(60)
    expect(idsOf(body.models)).not.toContain('test/unrouted')
    const all = (await nobody.get('/status?include_unavailable=true')).body.models as { id: string }[]
    expect(idsOf(all)).toEqual(expect.arrayContaining([...LAUNCH_MODEL_IDS, EMBEDDING_ID]))
    expect(all.find(model => model.id === 'test/unrouted')).toMatchObject({ available: false, status: 'not_enabled' })
    expect(all.find(model => model.id === 'test/plain')).toMatchObject({ available: true, status: 'available' })
  })
})

describe('/ready', () => {
  test('recommends a usable model', async () => {
    const { body } = await nobody.get('/ready')
    expect(body).toMatchObject({ object: 'ipop.ready', ready: true })
    expect(idsOf(body.models)).toContain(body.recommended_model_id)
    expect((body.models as Model[]).find(model => model.id === 'test/embed')).toMatchObject({
      ready: true,
      status: 'available',
      supports_chat: false,
      supports_embeddings: true,
    })
  })

  test('gives checks that work as printed, with a key', async () => {
    const { secret, api } = await newTenant(db)
    const { setup, recommended_model_id: model } = (await nobody.get('/ready')).body
    expect(setup.env).toContain('<your key>')
    const shell = async (command: string) => {
      const script = `${setup.env.replace('<your key>', secret)}\n${command}`
      return JSON.parse((await promisify(execFile)('/bin/sh', ['-euc', script])).stdout) as Record<string, unknown>
    }
    expect(await shell(setup.health_check)).toMatchObject({ object: 'ipop.ready', ready: true })
    expect(await shell(setup.chat_check)).toMatchObject({ object: 'chat.completion', model })
    expect((await api.get('/usage')).body.total_requests).toBe(1)
    await expect(shell(setup.chat_check.replace('$IPOP_API_KEY', 'wrong'))).rejects.toThrow('401')
  })
})
