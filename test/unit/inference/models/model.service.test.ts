import { describe, expect, test } from '@jest/globals'
import { getModel, getReady, getStatus, listModels } from '../../../../domain/inference/models/model.service.ts'
import type { Catalog, ProviderRoute } from '../../../../domain/inference/catalog/catalog.ts'
import {
  Model,
  ModelList,
  PublicReady,
  PublicStatus,
  type CatalogEntry,
  type ModelStatus,
} from '../../../../domain/inference/catalog/catalog.schema.ts'
import type { Breakers, ProviderRouteHealth } from '../../../../domain/inference/provider-routes/breakers.ts'
import { requireValid } from '../../../../domain/core/validation.rules.ts'
import { anyRules, launchCatalog, launchModel, refusalOf, thrownBy } from '../../fixtures.ts'

const upstreams = { a: 'a', b: 'b', c: 'c' }
const routeTo = (id: string): ProviderRoute => ({
  upstream: { id, baseUrl: 'http://x', apiKey: undefined, external: true },
  model: 'm',
})
const chat = launchModel('openai/gpt-5-nano')
const embed = launchModel('terminaili/embed-balanced')

/** A catalog of one model whose routes have these healths. */
function oneModel(
  healths: ProviderRouteHealth[],
  entry: CatalogEntry = chat,
): { catalog: Catalog; breakers: Breakers } {
  const routes = healths.map((_, index) => routeTo(Object.values(upstreams)[index] ?? ''))
  return {
    catalog: {
      ...launchCatalog(),
      entries: [entry],
      find: id => (id === entry.id ? entry : undefined),
      routesOf: () => routes,
    },
    breakers: {
      healthOf: route => healths[routes.indexOf(route)] ?? 'good',
      run: (_route, call) => call(),
    },
  }
}

const allGood = { catalog: launchCatalog(), breakers: oneModel([]).breakers }

describe('the status of a model follows its routes', () => {
  test.each<[ProviderRouteHealth[], ModelStatus, boolean, string]>([
    [[], 'not_enabled', false, 'not_enabled'],
    [['good'], 'available', true, 'available'],
    [['recovering'], 'degraded', true, 'degraded'],
    [['broken'], 'temporarily_unavailable', false, 'degraded'],
    [['broken', 'good'], 'degraded', true, 'degraded'],
    [['good', 'broken'], 'degraded', true, 'degraded'],
    [['good', 'good'], 'available', true, 'available'],
    [['good', 'recovering'], 'available', true, 'available'],
    [['broken', 'broken'], 'temporarily_unavailable', false, 'degraded'],
    [['broken', 'recovering'], 'degraded', true, 'degraded'],
  ])('%j is %s', (healths, status, available, overall) => {
    const deps = oneModel(healths)
    const model = getModel(deps, chat.id, { include_unavailable: true })
    expect(model).toMatchObject({ id: chat.id, status, available })
    expect(getStatus(deps, {}).status).toBe(overall)
    expect(getReady(deps, {}, 'http://x').ready).toBe(available)
  })
})

describe('the filter', () => {
  test.each<[string, ProviderRouteHealth[], object, boolean]>([
    ['an available one as it is', ['good'], {}, true],
    ['an available one where only ready ones are asked', ['good'], { ready: true }, true],
    ['a degraded one as it is', ['recovering'], {}, true],
    ['no degraded one where only ready ones are asked', ['recovering'], { ready: true }, false],
    ['no broken one', ['broken'], {}, false],
    ['a broken one where all are asked', ['broken'], { include_unavailable: true }, true],
    ['no broken one where ready ones of all are asked', ['broken'], { include_unavailable: true, ready: true }, false],
    ['no model that is not enabled', [], {}, false],
    ['a model that is not enabled where all are asked', [], { include_unavailable: true }, true],
  ])('lists %s', (_what, healths, filter, listed) => {
    const deps = oneModel(healths)
    const expected = listed ? [chat.id] : []
    expect(listModels(deps, filter, undefined).data.map(({ id }) => id)).toEqual(expected)
    expect(listModels(deps, filter, undefined).groups?.flatMap(group => group.model_ids)).toEqual(expected)
    expect(getStatus(deps, filter).models.map(({ id }) => id)).toEqual(expected)
    expect(getReady(deps, filter, 'http://x').models.map(({ id }) => id)).toEqual(expected)
  })

  test('a key sees what it may use', () => {
    const rules = { ...anyRules, allowedModels: ['grok-4.3'] }
    const { data, groups } = listModels(allGood, {}, rules)
    expect(data.map(({ id }) => id)).toEqual(['grok-4.3'])
    expect(groups?.flatMap(group => group.model_ids)).toEqual(['grok-4.3'])
  })
})

describe('a model that cannot be given', () => {
  test('an unknown id is a 404, whose text holds no more than the start of it', () => {
    const error = thrownBy(() => getModel(allGood, 'x'.repeat(1_000), {}))
    expect(refusalOf(error)).toEqual({
      status: 404,
      code: 'model_unavailable',
      type: 'model_not_found',
      param: 'model_id',
    })
    expect(error.message.length).toBeLessThan(200)
  })

  test.each<[ProviderRouteHealth[], string]>([
    [['broken'], 'temporarily_unavailable'],
    [[], 'not_enabled'],
  ])('one with the routes %j is a 409 %s', (healths, type) => {
    const error = thrownBy(() => getModel(oneModel(healths), chat.id, {}))
    expect(refusalOf(error)).toEqual({ status: 409, code: 'model_unavailable', type, param: 'model_id' })
  })
})

describe('groups', () => {
  test('every chat model of a group once; embeddings apart', () => {
    const groups = listModels(allGood, {}, undefined).groups ?? []
    const idsOf = (id: string) => groups.find(group => group.id === id)?.model_ids ?? []
    expect(groups.map(({ id }) => id)).toEqual(['recommended', 'tier_1', 'tier_2', 'embeddings'])
    expect(idsOf('recommended')).toContain('ipop/coder-balanced')
    expect(idsOf('embeddings')).toEqual(['terminaili/embed-balanced'])
    const chatIds = groups.filter(({ id }) => id !== 'embeddings').flatMap(group => group.model_ids)
    expect(chatIds).toHaveLength(21)
    expect(new Set(chatIds).size).toBe(21)
  })
})

describe('replies', () => {
  test.each([
    ['ModelList', ModelList, listModels(allGood, {}, undefined)],
    ['Model', Model, getModel(allGood, 'claude-opus-4.8', {})],
    ['PublicStatus', PublicStatus, getStatus(allGood, {})],
    ['PublicReady', PublicReady, getReady(allGood, {}, 'http://x')],
  ])('have the shape of %s', (_name, schema, reply) => {
    expect(() => requireValid(schema, reply)).not.toThrow()
  })

  test('price cards show the standard price and half of it', () => {
    const { price_cards: cards = [] } = getModel(allGood, 'claude-opus-4.8', {})
    const figures = cards.map(card => [
      card.service_tier,
      card.input_token_rate,
      card.cached_input_token_rate,
      card.output_token_rate,
    ])
    expect(figures).toEqual([
      ['standard', 5, 0.5, 25],
      ['batch', 2.5, 0.25, 12.5],
    ])
  })

  test('the sandbox and a note on the price are told', () => {
    const deps = oneModel(['good'])
    const sandboxed = { ...deps, catalog: { ...deps.catalog, routesOf: () => [routeTo('sandbox')] } }
    expect(getModel(sandboxed, chat.id, {}).compatibility_flags).toEqual(['sandbox'])
    expect(getModel(allGood, 'ling-2.6-flash', {}).compatibility_flags?.[0]).toMatch(/^price_note: /)
  })
})

describe('ready', () => {
  test('recommends the default, else a recommended one, else none', () => {
    const modelsOf = (ids: string[]) => ({
      ...allGood,
      catalog: { ...allGood.catalog, entries: allGood.catalog.entries.filter(({ id }) => ids.includes(id)) },
    })
    const recommended = (ids: string[]) => getReady(modelsOf(ids), {}, 'http://x').recommended_model_id
    expect(recommended(['grok-4.3', 'openai/gpt-5.5', 'ipop/coder-balanced'])).toBe('ipop/coder-balanced')
    expect(recommended(['grok-4.3', 'openai/gpt-5.5'])).toBe('openai/gpt-5.5')
    expect(recommended(['grok-4.3'])).toBe('grok-4.3')
    expect(recommended(['terminaili/embed-balanced'])).toBeUndefined()
  })

  test('an embedding model alone is not ready for a first chat', () => {
    expect(getReady(oneModel(['good'], embed), {}, 'http://x').ready).toBe(false)
  })

  test('gives checks to paste: the body is JSON, the model is the recommended one', () => {
    const { setup } = getReady(allGood, {}, 'http://host:1')
    expect(setup.env).toContain('IPOP_BASE_URL=http://host:1/v1')
    expect(setup.health_check).toBe('curl -fsS http://host:1/v1/ready')
    const body = /-d '(.*)'$/.exec(setup.chat_check)?.[1] ?? ''
    expect(JSON.parse(body)).toMatchObject({ model: 'ipop/coder-balanced' })
  })
})
