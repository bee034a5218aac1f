import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { supports } from '../catalog/model-access.rules.ts'
import type { AgentClient } from './client-config.schema.ts'

const PROVIDER = 'ipop'
const KEY_VARIABLE = 'IPOP_API_KEY'

export interface ClientSetup {
  /** With the version: `https://…/v1`. */
  baseUrl: string
  models: readonly CatalogEntry[]
  selected: CatalogEntry
}

interface Client {
  /** Its config file's content. Without a key it reads the key from the environment, and can be shared. */
  config: (setup: ClientSetup, apiKey: string | undefined) => Record<string, unknown>
  hints: string[]
}

const byId = <Value>(models: readonly CatalogEntry[], valueOf: (entry: CatalogEntry) => Value) =>
  Object.fromEntries(models.map(entry => [entry.id, valueOf(entry)]))

const WITHOUT_KEY = `A copy without the key takes it from the environment: export ${KEY_VARIABLE}=<your key>`

/** OpenCode (https://opencode.ai/docs/config, https://opencode.ai/docs/providers); costs are USD per million tokens. */
const OPENCODE: Client = {
  config: ({ baseUrl, models, selected }, apiKey) => ({
    $schema: 'https://opencode.ai/config.json',
    model: `${PROVIDER}/${selected.id}`,
    small_model: `${PROVIDER}/${selected.id}`,
    provider: {
      [PROVIDER]: {
        npm: '@ai-sdk/openai-compatible',
        name: 'IPOP',
        options: { baseURL: baseUrl, apiKey: apiKey ?? `{env:${KEY_VARIABLE}}` },
        models: byId(models, openCodeModel),
      },
    },
  }),
  hints: [
    'Save `config` as opencode.json in a project, or as ~/.config/opencode/opencode.json for all of them.',
    WITHOUT_KEY,
  ],
}

const costOf = ({ price }: CatalogEntry) => ({
  input: price.input,
  output: price.output,
  cache_read: price.cached_input,
  ...(price.cache_write === undefined ? {} : { cache_write: price.cache_write }),
})

const openCodeModel = (entry: CatalogEntry) => ({
  name: entry.display_name,
  attachment: supports(entry, 'vision'),
  reasoning: supports(entry, 'reasoning'),
  tool_call: supports(entry, 'tools'),
  modalities: { input: supports(entry, 'vision') ? ['text', 'image'] : ['text'], output: ['text'] },
  limit: { context: entry.max_input_tokens, output: entry.max_output_tokens },
  cost: costOf(entry),
})

/**
 * Hermes Agent (https://hermes-agent.nousresearch.com/docs/integrations/providers, "Named Custom Providers"): it reads
 * YAML, of which JSON is a part. It takes `api_key` first, then the variable that `key_env` names.
 */
const HERMES: Client = {
  config: ({ baseUrl, models, selected }, apiKey) => ({
    model: { default: selected.id, provider: `custom:${PROVIDER}` },
    custom_providers: [
      {
        name: PROVIDER,
        base_url: baseUrl,
        key_env: KEY_VARIABLE,
        ...(apiKey === undefined ? {} : { api_key: apiKey }),
        api_mode: 'chat_completions',
        model: selected.id,
        models: byId(models, entry => ({ context_length: entry.max_input_tokens })),
      },
    ],
  }),
  hints: ['Save `config` as ~/.hermes/config.yaml: JSON is YAML, so it can stay as it is.', WITHOUT_KEY],
}

export const CLIENTS: Record<AgentClient, Client> = { opencode: OPENCODE, hermes: HERMES }
