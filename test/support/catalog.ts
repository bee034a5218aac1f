import { writeFile } from 'node:fs/promises'
import type { CatalogFile } from '../../domain/inference/catalog/catalog.schema.ts'
import { drawingModelOf, IMAGE_QUIRKS } from './image-corpus.ts'
import { BROKEN_QUIRKS, EMPTY_TURNS, modelOfQuirk } from './upstream-corpus.ts'

type Entry = CatalogFile['models'][number]

const entry = (id: string, changes: Partial<Entry> = {}): Entry => ({
  id,
  display_name: id,
  owned_by: 'test',
  tier: 'catalog',
  latency_class: 'low',
  recommended_for: [],
  capabilities: ['chat', 'code', 'streaming', 'tools', 'parallel_tools', 'vision', 'json_schema', 'reasoning'],
  max_input_tokens: 100_000,
  max_output_tokens: 1_000,
  price: { input: 1, cached_input: 0.1, output: 2 },
  routes: [{ upstream: 'fake-a', model: id }],
  ...changes,
})

/** Over Anthropic's format. */
const MESSAGES_ROUTE = { upstream: 'fake-messages', model: 'claude-sonnet-4-6' }

const DRAWING_MODELS = new Set(IMAGE_QUIRKS.map(([name, quirk]) => drawingModelOf(name, quirk)))

/** Models of the test run besides the launch list. Tests that break a route use one of their own: breakers are shared. */
export const TEST_MODELS: Entry[] = [
  entry('test/plain'),
  entry('test/two-routes', {
    routes: [
      { upstream: 'fake-a', model: 'two-routes-a' },
      { upstream: 'fake-b', model: 'two-routes-b' },
    ],
  }),
  entry('test/wide', { max_input_tokens: 10_000_000 }),
  entry('test/small-window', { max_input_tokens: 50, tokenizer: 'o200k_base' }),
  entry('test/bare', { capabilities: ['chat', 'code', 'streaming'] }),
  entry('test/external', { routes: [{ upstream: 'openrouter', model: 'external' }] }),
  entry('test/byok', { byok: { provider: 'openai', model: 'byok-native' } }),
  entry('test/claude', { max_output_tokens: 2_000, byok: { provider: 'anthropic', model: 'claude-sonnet-4-6' } }),
  entry('test/messages', { routes: [MESSAGES_ROUTE] }),
  entry('test/unrouted', { routes: [{ upstream: 'nowhere', model: 'x' }] }),
  entry('test/embed', {
    capabilities: ['embeddings'],
    max_output_tokens: 0,
    price: { input: 0.02, cached_input: 0.02, output: 0 },
  }),
  entry('test/embed-in-parts', {
    capabilities: ['embeddings'],
    max_output_tokens: 0,
    max_embedding_inputs: 3,
    price: { input: 0.02, cached_input: 0.02, output: 0 },
  }),
  ...[...DRAWING_MODELS].map(id =>
    entry(id, {
      capabilities: ['images'],
      max_output_tokens: 0,
      output_modalities: ['image'],
      price: { input: 0, cached_input: 0, output: 0, image: 0.1, image_most: 0.1 },
    }),
  ),
  entry('test/film', {
    capabilities: ['videos'],
    max_output_tokens: 0,
    price: { input: 0, cached_input: 0, output: 0, video_second: 0.1, video_second_most: 0.1 },
  }),
  entry('test/caching', { price: { input: 1, cached_input: 0.1, cache_write: 1.25, cache_write_1h: 2, output: 2 } }),
  entry('test/old-limit', { routes: [{ upstream: 'fake-a', model: 'old', output_limit_name: 'max_tokens' }] }),
  entry('test/new-limit', {
    routes: [{ upstream: 'fake-a', model: 'new', output_limit_name: 'max_completion_tokens' }],
  }),
  entry('test/dear', { price: { input: 1_000, cached_input: 100, output: 1_000 } }),
  // Each of them breaks its route.
  entry(EMPTY_TURNS),
  ...BROKEN_QUIRKS.flatMap(([name, { wire }]) =>
    [modelOfQuirk(name), modelOfQuirk(`${name}-text`)].map(id =>
      entry(id, wire === 'anthropic' ? { routes: [{ ...MESSAGES_ROUTE, model: id }] } : {}),
    ),
  ),
  ...['limited', 'flaky', 'broken', 'hanging', 'paused', 'failing', 'away'].map(name => entry(`test/${name}`)),
]

/** Writes the run's CATALOG_FILE: its upstreams are all the fake one. */
export async function writeTestCatalog(path: string, upstreamUrl: string): Promise<void> {
  const upstream = (id: string) => ({ id, base_url: upstreamUrl, external: false })
  const upstreams = [
    upstream('fake-a'),
    upstream('fake-b'),
    { ...upstream('fake-messages'), wire: 'anthropic' as const },
  ]
  const catalog: CatalogFile = { upstreams, models: TEST_MODELS }
  await writeFile(path, JSON.stringify(catalog))
}
