import type { Breakers, ProviderRouteHealth } from '../provider-routes/breakers.ts'
import { DomainError } from '../../core/errors.ts'
import { mayUseModel, type KeyRules } from '../../core/caller.rules.ts'
import type { Catalog } from '../catalog/catalog.ts'
import type {
  CatalogEntry,
  Model,
  ModelGroup,
  ModelList,
  ModelStatus,
  ProviderPriceCard,
  PublicReady,
  PublicStatus,
} from '../catalog/catalog.schema.ts'
import { requireKnownModel, requireUsableModel, supports } from '../catalog/model-access.rules.ts'
import { rateAtTier, type ServiceTier } from '../catalog/pricing.rules.ts'

interface Deps {
  catalog: Catalog
  breakers: Breakers
}

export interface AvailabilityFilter {
  include_unavailable?: boolean
  ready?: boolean
}

/** The launch date: the catalog's entries are not older. */
const CREATED_UNIX = 1_793_491_200
const TIERS: ServiceTier[] = ['standard', 'batch']
const GROUPS: [ModelGroup['id'], string][] = [
  ['recommended', 'Recommended'],
  ['tier_1', 'Tier 1'],
  ['tier_2', 'Tier 2'],
]

/** The models that are usable now, or all with `include_unavailable`; those the key may use where there is one. */
export function listModels(deps: Deps, filter: AvailabilityFilter, rules: KeyRules | undefined): ModelList {
  const models = entriesFor(deps, filter).filter(entry => rules === undefined || mayUseModel(rules, entry.id))
  const ids = new Set(models.map(entry => entry.id))
  return {
    object: 'list',
    data: models.map(entry => modelView(deps, entry)),
    groups: groupsOf(deps.catalog).map(group => ({ ...group, model_ids: group.model_ids.filter(id => ids.has(id)) })),
  }
}

/** Errors: 403 where the key may not use it; 404 for an unknown id; 409 for a known one that is not usable now, unless that is asked for. */
export function getModel(deps: Deps, modelId: string, filter: AvailabilityFilter, rules?: KeyRules): Model {
  const entry =
    rules === undefined
      ? requireKnownModel(deps.catalog, modelId, 'model_id')
      : requireUsableModel(deps.catalog, modelId, rules, 'model_id')
  const model = modelView(deps, entry)
  if (isAsked(model.status, filter)) return model
  throw new DomainError(409, 'model_unavailable', `The model ${entry.id} is ${model.status}.`, {
    type: model.status,
    param: 'model_id',
  })
}

export function getStatus(deps: Deps, filter: AvailabilityFilter): PublicStatus {
  const all = deps.catalog.entries.map(entry => statusOf(deps, entry))
  const enabled = all.filter(status => status !== 'not_enabled')
  const good = enabled.filter(status => status === 'available')
  return {
    object: 'ipop.status',
    status: enabled.length === 0 ? 'not_enabled' : good.length === enabled.length ? 'available' : 'degraded',
    generated_at_unix: nowUnix(),
    models: entriesFor(deps, filter).map(entry => ({
      id: entry.id,
      display_name: entry.display_name,
      available: isUsable(statusOf(deps, entry)),
      status: statusOf(deps, entry),
      catalog_tier: entry.tier,
      latency_class: entry.latency_class,
      ...capabilitiesOf(entry),
    })),
  }
}

/** Whether a first request would succeed, and checks to paste into a shell. */
export function getReady(deps: Deps, filter: AvailabilityFilter, baseUrl: string): PublicReady {
  const recommended = recommendedModel(deps)
  return {
    object: 'ipop.ready',
    ready: recommended !== undefined,
    generated_at_unix: nowUnix(),
    ...(recommended === undefined ? {} : { recommended_model_id: recommended.id }),
    models: entriesFor(deps, filter).map(entry => ({
      id: entry.id,
      display_name: entry.display_name,
      ready: statusOf(deps, entry) === 'available',
      status: statusOf(deps, entry),
      supports_chat: supports(entry, 'chat'),
      supports_embeddings: supports(entry, 'embeddings'),
    })),
    setup: setupOf(baseUrl, recommended?.id ?? deps.catalog.defaultModelId ?? ''),
  }
}

function setupOf(baseUrl: string, modelId: string): PublicReady['setup'] {
  const body = JSON.stringify({ model: modelId, messages: [{ role: 'user', content: 'Say hello.' }] })
  return {
    env: `export IPOP_BASE_URL=${baseUrl}/v1 IPOP_API_KEY='<your key>'`,
    health_check: `curl -fsS ${baseUrl}/v1/ready`,
    chat_check: `curl -fsS ${baseUrl}/v1/chat/completions -H "x-api-key: $IPOP_API_KEY" -H 'content-type: application/json' -d '${body}'`,
  }
}

function recommendedModel(deps: Deps): CatalogEntry | undefined {
  const usable = deps.catalog.entries.filter(entry => supports(entry, 'chat') && isUsable(statusOf(deps, entry)))
  return usable.find(entry => entry.default === true) ?? usable.find(entry => entry.tier === 'recommended') ?? usable[0]
}

const entriesFor = (deps: Deps, filter: AvailabilityFilter): CatalogEntry[] =>
  deps.catalog.entries.filter(entry => isAsked(statusOf(deps, entry), filter))

function isAsked(status: ModelStatus, filter: AvailabilityFilter): boolean {
  if (filter.ready === true) return status === 'available'
  return filter.include_unavailable === true || isUsable(status)
}

export const isUsable = (status: ModelStatus): boolean => status === 'available' || status === 'degraded'

const STATUS_OF_HEALTH: Record<ProviderRouteHealth, ModelStatus> = {
  good: 'available',
  recovering: 'degraded',
  broken: 'temporarily_unavailable',
}

/** From what is configured and from how the routes have fared lately: one broken of several is degraded. */
export function statusOf(deps: Deps, entry: CatalogEntry): ModelStatus {
  const healths = deps.catalog.routesOf(entry).map(route => deps.breakers.healthOf(route))
  const [first] = healths
  if (first === undefined) return 'not_enabled'
  if (healths.every(health => health === 'broken')) return 'temporarily_unavailable'
  return healths.includes('broken') ? 'degraded' : STATUS_OF_HEALTH[first]
}

const LABELS: Record<ModelStatus, string> = {
  available: 'Available',
  degraded: 'Degraded',
  temporarily_unavailable: 'Temporarily unavailable',
  not_enabled: 'Not enabled here',
  deprecated: 'Deprecated',
}

function modelView(deps: Deps, entry: CatalogEntry): Model {
  const status = statusOf(deps, entry)
  return {
    id: entry.id,
    object: 'model',
    created: CREATED_UNIX,
    owned_by: entry.owned_by,
    display_name: entry.display_name,
    available: isUsable(status),
    status,
    availability_label: LABELS[status],
    catalog_tier: entry.tier,
    is_default: entry.default === true,
    recommended: entry.tier === 'recommended',
    recommended_for: entry.recommended_for,
    latency_class: entry.latency_class,
    input_token_rate: entry.price.input,
    output_token_rate: entry.price.output,
    max_context_tokens: entry.max_input_tokens,
    max_input_tokens: entry.max_input_tokens,
    max_output_tokens: entry.max_output_tokens,
    price_cards: TIERS.map(tier => priceCard(entry, tier)),
    compatibility_flags: flagsOf(deps, entry),
    ...capabilitiesOf(entry),
    supports_streaming: supports(entry, 'streaming'),
    supports_parallel_tool_calls: supports(entry, 'parallel_tools'),
    supports_tool_choice: supports(entry, 'tools'),
    supports_tool_json_schema: supports(entry, 'tools'),
  }
}

const capabilitiesOf = (entry: CatalogEntry) => ({
  supports_chat: supports(entry, 'chat'),
  supports_code: supports(entry, 'code'),
  supports_embeddings: supports(entry, 'embeddings'),
  supports_json_schema: supports(entry, 'json_schema'),
  supports_reasoning: supports(entry, 'reasoning'),
  supports_tools: supports(entry, 'tools'),
  supports_vision: supports(entry, 'vision'),
})

function flagsOf(deps: Deps, entry: CatalogEntry): string[] {
  const sandboxed = deps.catalog.routesOf(entry).some(route => route.upstream.id === 'sandbox')
  return [
    ...(sandboxed ? ['sandbox'] : []),
    ...(entry.price_note === undefined ? [] : [`price_note: ${entry.price_note}`]),
    ...cacheWriteFlags(entry),
  ]
}

/** The contract's price card has no place for them. */
const cacheWriteFlags = ({ price: { cache_write, cache_write_1h } }: CatalogEntry): string[] => [
  ...(cache_write === undefined ? [] : [`cache_write_token_rate: ${cache_write}`]),
  ...(cache_write_1h === undefined ? [] : [`cache_write_1h_token_rate: ${cache_write_1h}`]),
]

export const priceCard = (entry: CatalogEntry, tier: ServiceTier): ProviderPriceCard => ({
  provider: entry.owned_by,
  public_model_id: entry.id,
  provider_model_id: entry.routes[0]?.model ?? entry.id,
  context_band: 'short',
  service_tier: tier,
  input_token_rate: rateAtTier(entry.price.input, tier),
  cached_input_token_rate: rateAtTier(entry.price.cached_input, tier),
  output_token_rate: rateAtTier(entry.price.output, tier),
  ...(entry.price.effective_date === undefined ? {} : { effective_date: entry.price.effective_date }),
})

function groupsOf(catalog: Catalog): ModelGroup[] {
  const chat = catalog.entries.filter(entry => supports(entry, 'chat'))
  const embeddings = catalog.entries.filter(entry => supports(entry, 'embeddings'))
  return [
    ...GROUPS.map(([id, label]) => ({
      id,
      label,
      model_ids: chat.filter(entry => entry.tier === id).map(entry => entry.id),
    })),
    { id: 'embeddings', label: 'Embeddings', model_ids: embeddings.map(entry => entry.id) },
  ]
}

const nowUnix = (): number => Math.floor(Date.now() / 1000)

/** The model that is used where none is named; undefined where it is not served. */
export function servedDefault(catalog: Catalog): string | undefined {
  const model = catalog.entries.find(entry => entry.id === catalog.defaultModelId)
  return model === undefined || catalog.routesOf(model).length === 0 ? undefined : model.id
}
