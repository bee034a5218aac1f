import { afterAll, describe, expect, test } from '@jest/globals'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { loadCatalog } from '../../../../domain/inference/catalog/catalog.ts'
import { LAUNCH_MODEL_IDS, type CatalogEntry } from '../../../../domain/inference/catalog/catalog.schema.ts'
import { DEFAULT_IMAGE_MODEL } from '../../../../domain/inference/images/image.schema.ts'
import { DEFAULT_VIDEO_MODEL } from '../../../../domain/work/videos/video.schema.ts'
import { ConfigError } from '../../../../infra/config.ts'
import { catalogConfig, launchCatalog, launchModel, openRouter } from '../../fixtures.ts'

const folder = mkdtempSync(join(tmpdir(), 'ipop-catalog-'))
afterAll(() => rmSync(folder, { recursive: true }))

let files = 0
function catalogFile(content: unknown): string {
  const path = join(folder, `${(files += 1)}.json`)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

const sandboxUrl = 'http://127.0.0.1:9/v1'

describe('the launch catalog has the facts of the price table', () => {
  const [V, T, J, R] = ['vision', 'tools', 'json_schema', 'reasoning']
  test.each<[string, string, string, [number, number, number], [number, number], (string | undefined)[]]>([
    [
      'ipop/coder-balanced',
      'IPOP Coder Balanced',
      'deepseek/deepseek-v4-flash',
      [0.3, 0.006, 1.2],
      [1_000_000, 393_216],
      [V, T, J, R],
    ],
    [
      'claude-sonnet-4.6',
      'Claude Sonnet 4.6',
      'anthropic/claude-sonnet-4.6',
      [3, 0.3, 15],
      [1_000_000, 128_000],
      [V, T, J, R],
    ],
    ['grok-build-0.1', 'Grok Build 0.1', 'x-ai/grok-build-0.1', [1, 0.2, 2], [256_000, 256_000], [V, T, J, R]],
    ['step-3.7-flash', 'Step 3.7 Flash', 'stepfun/step-3.7-flash', [0.2, 0.04, 1.15], [262_144, 256_000], [V, T, J, R]],
    [
      'claude-opus-4.8-fast',
      'Claude Opus 4.8 Fast',
      'anthropic/claude-opus-4.8-fast',
      [10, 1, 50],
      [200_000, 64_000],
      [V, T, J, R],
    ],
    [
      'claude-opus-4.8',
      'Claude Opus 4.8',
      'anthropic/claude-opus-4.8',
      [5, 0.5, 25],
      [1_000_000, 128_000],
      [V, T, J, R],
    ],
    ['openai/gpt-5.5', 'GPT-5.5', 'openai/gpt-5.5', [5, 0.5, 30], [1_050_000, 128_000], [V, T, J, R]],
    ['openai/gpt-5.4', 'GPT-5.4', 'openai/gpt-5.4', [2.5, 0.25, 15], [1_050_000, 128_000], [V, T, J, R]],
    ['grok-4.3', 'Grok 4.3', 'x-ai/grok-4.3', [1.25, 0.2, 2.5], [1_000_000, 1_000_000], [V, T, J, R]],
    [
      'gemini-3.5-flash',
      'Gemini 3.5 Flash',
      'google/gemini-3.5-flash',
      [1.5, 0.15, 9],
      [1_048_576, 65_535],
      [V, T, J, R],
    ],
    ['qwen3.7-max', 'Qwen3.7 Max', 'qwen/qwen3.7-max', [2.5, 0.5, 7.5], [991_808, 65_536], [T, J, R]],
    [
      'openai/gpt-5.4-mini',
      'GPT-5.4 mini',
      'openai/gpt-5.4-mini',
      [0.75, 0.075, 4.5],
      [272_000, 128_000],
      [V, T, J, R],
    ],
    [
      'deepseek-v4-pro',
      'DeepSeek V4 Pro',
      'deepseek/deepseek-v4-pro',
      [1.32, 0.044, 3.96],
      [1_000_000, 393_216],
      [T, J, R],
    ],
    [
      'qwen3-235b-a22b-thinking-2507',
      'Qwen3 235B A22B Thinking 2507',
      'qwen/qwen3-235b-a22b-thinking-2507',
      [0.3, 0.3, 3],
      [131_072, 32_768],
      [T, R],
    ],
    ['openai/gpt-5-nano', 'GPT-5 nano', 'openai/gpt-5-nano', [0.05, 0.005, 0.4], [272_000, 128_000], [V, T, J, R]],
    [
      'gemini-3.1-flash-lite',
      'Gemini 3.1 Flash Lite',
      'google/gemini-3.1-flash-lite',
      [0.25, 0.025, 1.5],
      [1_048_576, 65_536],
      [V, T, J, R],
    ],
    ['kimi-k2.6', 'Kimi K2.6', 'moonshotai/kimi-k2.6', [0.95, 0.16, 4], [262_144, 262_144], [V, T, J, R]],
    [
      'deepseek-v4-flash',
      'DeepSeek V4 Flash',
      'deepseek/deepseek-v4-flash',
      [0.3, 0.006, 1.2],
      [1_000_000, 393_216],
      [V, T, J, R],
    ],
    [
      'mistral-small-2603',
      'Mistral Small 2603',
      'mistralai/mistral-small-2603',
      [0.15, 0.015, 0.6],
      [262_144, 262_144],
      [V, T, J, R],
    ],
    ['codestral-2508', 'Codestral 2508', 'mistralai/codestral-2508', [0.3, 0.03, 0.9], [128_000, 128_000], [T, J]],
    // No public figures: priced and sized like its nearest peer, and the entry says so.
    ['ling-2.6-flash', 'Ling 2.6 Flash', 'inclusionai/ling-2.6-flash', [0.15, 0.015, 0.6], [131_072, 32_768], []],
  ])('%s', (id, name, upstreamModel, [input, cached_input, output], [maxInput, maxOutput], capabilities) => {
    const entry = launchModel(id)
    expect(entry.display_name).toBe(name)
    expect(entry.price).toMatchObject({ input, cached_input, output })
    expect([entry.max_input_tokens, entry.max_output_tokens]).toEqual([maxInput, maxOutput])
    expect(entry.routes).toEqual([{ upstream: 'openrouter', model: upstreamModel }])
    const optional = entry.capabilities.filter(name => ['vision', 'tools', 'json_schema', 'reasoning'].includes(name))
    expect(new Set(optional)).toEqual(new Set(capabilities))
    expect(entry.capabilities).toEqual(expect.arrayContaining(['chat', 'streaming']))
  })

  test('holds the 21 launch ids, the ids for embeddings, images and videos, and nothing else', () => {
    const ids = launchCatalog().entries.map(({ id }) => id)
    expect(ids).toHaveLength(24)
    expect(new Set(ids)).toEqual(
      new Set([...LAUNCH_MODEL_IDS, 'terminaili/embed-balanced', DEFAULT_IMAGE_MODEL, DEFAULT_VIDEO_MODEL]),
    )
    expect(LAUNCH_MODEL_IDS).toHaveLength(21)
  })

  test('has one default, and says where a figure is not a public one', () => {
    const { entries, defaultModelId } = launchCatalog()
    expect(entries.filter(entry => entry.default === true).map(({ id }) => id)).toEqual(['ipop/coder-balanced'])
    expect(defaultModelId).toBe('ipop/coder-balanced')
    const noted = entries.filter(entry => entry.price_note !== undefined).map(({ id }) => id)
    expect(noted).toEqual(
      expect.arrayContaining(['ipop/coder-balanced', 'qwen3-235b-a22b-thinking-2507', 'ling-2.6-flash']),
    )
  })

  test('the embedding id embeds and does not chat', () => {
    expect(launchModel('terminaili/embed-balanced').capabilities).toEqual(['embeddings'])
  })
})

describe('what serves a model', () => {
  const upstreamsOf = (config: Parameters<typeof loadCatalog>[0]) => {
    const catalog = loadCatalog(config)
    const entry = catalog.find('claude-opus-4.8')
    return entry === undefined
      ? []
      : catalog.routesOf(entry).map(({ upstream, model }) => [upstream.id, upstream.external, model])
  }

  test.each<[string, Parameters<typeof loadCatalog>[0], [string, boolean, string][]]>([
    [
      'OpenRouter, where it is configured',
      catalogConfig({ openRouter }),
      [['openrouter', true, 'anthropic/claude-opus-4.8']],
    ],
    [
      'OpenRouter before the sandbox',
      catalogConfig({ openRouter, sandboxUrl }),
      [['openrouter', true, 'anthropic/claude-opus-4.8']],
    ],
    [
      'the sandbox without an upstream, under the public id',
      catalogConfig({ sandboxUrl }),
      [['sandbox', false, 'claude-opus-4.8']],
    ],
    ['nothing in production without an upstream', catalogConfig({ sandboxUrl }, true), []],
    ['nothing where nothing is configured', catalogConfig(), []],
  ])('is %s', (_what, config, routes) => {
    expect(upstreamsOf(config)).toEqual(routes)
  })
})

const ownModel: CatalogEntry = {
  id: 'own/model',
  display_name: 'Own',
  owned_by: 'us',
  tier: 'catalog',
  latency_class: 'low',
  recommended_for: [],
  capabilities: ['chat'],
  max_input_tokens: 8,
  max_output_tokens: 8,
  price: { input: 1, cached_input: 1, output: 1 },
  routes: [
    { upstream: 'gpu', model: 'local' },
    { upstream: 'openrouter', model: 'vendor/local' },
  ],
}
const gpu = { id: 'gpu', base_url: 'http://gpu.test/v1//', api_key_env: 'GPU_KEY', external: false }
const withFile = (content: unknown, upstreams = {}, variables: Record<string, string> = {}) => ({
  ...catalogConfig(upstreams),
  catalogFile: catalogFile(content),
  secret: (name: string) => variables[name],
})

describe('CATALOG_FILE', () => {
  test('adds models and upstreams; routes are in the order of the file', () => {
    const catalog = loadCatalog(
      withFile({ upstreams: [gpu], models: [ownModel] }, { openRouter }, { GPU_KEY: 'secret' }),
    )
    const routes = catalog.routesOf(ownModel).map(({ upstream, model }) => ({ ...upstream, model }))
    expect(routes).toEqual([
      { id: 'gpu', external: false, baseUrl: 'http://gpu.test/v1', apiKey: 'secret', model: 'local' },
      { id: 'openrouter', external: true, promptCaching: true, ...openRouter, model: 'vendor/local' },
    ])
    expect(catalog.entries).toHaveLength(25)
  })

  test('leaves out routes over what is not configured', () => {
    const catalog = loadCatalog(withFile({ upstreams: [{ ...gpu, api_key_env: undefined }], models: [ownModel] }))
    expect(catalog.routesOf(ownModel).map(({ upstream }) => upstream.id)).toEqual(['gpu'])
    expect(catalog.routesOf(launchModel('grok-4.3'))).toEqual([])
  })

  test('an upstream of its own keeps the sandbox away', () => {
    const catalog = loadCatalog(
      withFile({ upstreams: [{ id: 'gpu', base_url: 'http://gpu.test' }], models: [] }, { sandboxUrl }),
    )
    expect(catalog.upstreams.map(({ id, external }) => [id, external])).toEqual([['gpu', true]])
  })

  test('replaces a model whole', () => {
    const catalog = loadCatalog(withFile({ models: [{ ...ownModel, id: 'grok-4.3' }] }))
    expect(catalog.find('grok-4.3')).toEqual({ ...ownModel, id: 'grok-4.3' })
    expect(catalog.entries).toHaveLength(24)
  })

  test('its default is the only one', () => {
    const catalog = loadCatalog(withFile({ models: [{ ...ownModel, default: true }] }))
    expect(catalog.defaultModelId).toBe('own/model')
    expect(catalog.entries.filter(entry => entry.default === true).map(({ id }) => id)).toEqual(['own/model'])
  })

  test.each<[string, unknown, Record<string, string>, RegExp]>([
    ['is not JSON', '{', {}, /^CATALOG_FILE could not be read as JSON/],
    ['has no models', {}, {}, /^CATALOG_FILE is wrong at/],
    [
      'has a negative price',
      { models: [{ ...ownModel, price: { ...ownModel.price, output: -1 } }] },
      {},
      /\/models\/0\/price\/output/,
    ],
    [
      'has an unknown capability',
      { models: [{ ...ownModel, capabilities: ['flight'] }] },
      {},
      /\/models\/0\/capabilities\/0/,
    ],
    ['has an unknown field', { models: [{ ...ownModel, colour: 'red' }] }, {}, /^CATALOG_FILE is wrong at/],
    ['has a model without routes', { models: [{ ...ownModel, routes: [] }] }, {}, /\/models\/0\/routes/],
    ['has an id with a space', { models: [{ ...ownModel, id: 'a b' }] }, {}, /\/models\/0\/id/],
    [
      'has an upstream that is no URL',
      { upstreams: [{ id: 'gpu', base_url: 'ftp://x' }], models: [] },
      {},
      /\/upstreams\/0\/base_url/,
    ],
    [
      'needs a key that is not set',
      { upstreams: [gpu], models: [] },
      {},
      /upstream gpu takes its key from GPU_KEY, which is not set/,
    ],
    [
      'calls an upstream sandbox',
      { upstreams: [{ id: 'sandbox', base_url: 'http://x' }], models: [] },
      {},
      /must not name an upstream sandbox/,
    ],
  ])('that %s is one clear sentence', (_what, content, env, text) => {
    const load = () => loadCatalog(withFile(content, {}, env))
    expect(load).toThrow(ConfigError)
    expect(load).toThrow(text)
  })

  test('that is not there is one clear sentence', () => {
    expect(() => loadCatalog({ ...catalogConfig(), catalogFile: join(folder, 'none') })).toThrow(
      /^CATALOG_FILE could not be read/,
    )
  })
})
