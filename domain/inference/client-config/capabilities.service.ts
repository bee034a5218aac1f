import type { Catalog } from '../catalog/catalog.ts'
import { supports } from '../catalog/model-access.rules.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { agentModels, firstChoice } from './agent-models.ts'
import type { AgentCapabilitiesResponse } from './client-config.schema.ts'
import { fingerprintOf } from './fingerprint.ts'

/** An operation that this deployment serves. */
export interface ServedOperation {
  /** Such as `GET /agent-turns/{request_id}/events`. */
  name: string
  path: string
  streams: boolean
  /** Names of its query parameters and headers. */
  parameters: readonly string[]
}

interface Deps {
  catalog: Catalog
  config: { publicUrl: string }
}

const SCHEMA_VERSION = 1

/** Names that agents look for; each is told where its operation is served. */
const URLS: Record<string, string> = {
  models: 'GET /models',
  status: 'GET /status',
  chat_completions: 'POST /chat/completions',
  responses: 'POST /responses',
  embeddings: 'POST /embeddings',
  images: 'POST /images/generations',
  videos: 'POST /videos',
  files: 'POST /files',
  batches: 'POST /batches',
  estimate: 'POST /estimate',
  model_recommendations: 'POST /model-recommendations',
  request_history: 'GET /request-history',
  usage: 'GET /usage',
  agent_turns: 'POST /agent-turns',
  agent_turn: 'GET /agent-turns/{request_id}',
  agent_turn_cancel: 'POST /agent-turns/{request_id}/cancel',
  agent_turn_events: 'GET /agent-turns/{request_id}/events',
  agent_tool_batch_plan: 'POST /agent-tool-batches/plan',
  orchestrations: 'POST /orchestrations',
  orchestration_events: 'GET /orchestrations/{id}/events',
}

/** Wire formats of others, by the operation that speaks each. */
const PROFILES: Record<string, string> = {
  'openai.models': 'GET /models',
  'openai.chat_completions': 'POST /chat/completions',
  'openai.responses': 'POST /responses',
  'openai.embeddings': 'POST /embeddings',
  'openai.images': 'POST /images/generations',
  'openai.files': 'POST /files',
  'openai.batches': 'POST /batches',
}

/** What an agent finds here with this key: all of it read from what is served and from the catalog. */
export function agentCapabilities(
  { catalog, config }: Deps,
  { rules }: Caller,
  operations: readonly ServedOperation[],
): AgentCapabilitiesResponse {
  const baseUrl = `${config.publicUrl}/v1`
  const models = agentModels(catalog, rules)
  const first = firstChoice(models)
  const parallel = models.filter(entry => supports(entry, 'parallel_tools'))
  const facts = {
    urls: { base: baseUrl, ...urlsOf(operations, baseUrl) },
    ...(first === undefined ? {} : { default_model_id: first.id }),
    model_ids: models.map(({ id }) => id),
    streaming: streamingOf(operations),
    tool_calls: { supported: models.length > 0, type: 'function', parallel_model_ids: parallel.map(({ id }) => id) },
    resumable_turns: resumableTurns(operations),
    orchestration: { supported: isServed(operations, 'POST /orchestrations') },
    client_configs: clientConfigs(operations, baseUrl),
    conformance_profiles: Object.keys(PROFILES).filter(profile => isServed(operations, PROFILES[profile])),
  }
  return {
    object: 'agent_capabilities',
    schema_version: SCHEMA_VERSION,
    capability_fingerprint: fingerprintOf(facts),
    ...facts,
  }
}

const find = (operations: readonly ServedOperation[], wanted: string | undefined) =>
  operations.find(({ name }) => name === wanted)
const isServed = (operations: readonly ServedOperation[], wanted: string | undefined): boolean =>
  find(operations, wanted) !== undefined

function urlsOf(operations: readonly ServedOperation[], baseUrl: string): Record<string, string> {
  return Object.fromEntries(
    Object.entries(URLS).flatMap(([name, wanted]) => {
      const operation = find(operations, wanted)
      return operation === undefined ? [] : [[name, `${baseUrl}${operation.path}`]]
    }),
  )
}

function streamingOf(operations: readonly ServedOperation[]) {
  const streamed = operations.filter(({ streams }) => streams).map(({ name }) => name)
  return { supported: streamed.length > 0, media_type: 'text/event-stream', operations: streamed }
}

function resumableTurns(operations: readonly ServedOperation[]) {
  const events = find(operations, 'GET /agent-turns/{request_id}/events')
  return {
    supported: isServed(operations, 'POST /agent-turns') && events !== undefined,
    resume_by: events?.parameters ?? [],
    cancel: isServed(operations, 'POST /agent-turns/{request_id}/cancel'),
  }
}

function clientConfigs(operations: readonly ServedOperation[], baseUrl: string) {
  return operations.flatMap(({ name, path }) => {
    const client = /^GET \/client-config\/(\w+)$/.exec(name)?.[1]
    if (client === undefined) return []
    const freshness = find(operations, `${name}/freshness`)
    return [
      {
        client,
        config_url: `${baseUrl}${path}`,
        ...(freshness === undefined ? {} : { freshness_url: `${baseUrl}${freshness.path}` }),
      },
    ]
  })
}
