import { Type, type Static } from 'typebox'
import { faces, OpenEnum, Timestamp } from '../../core/schemas.schema.ts'

export const LAUNCH_MODEL_IDS = [
  'ipop/coder-balanced',
  'claude-sonnet-4.6',
  'grok-build-0.1',
  'step-3.7-flash',
  'claude-opus-4.8-fast',
  'claude-opus-4.8',
  'openai/gpt-5.5',
  'openai/gpt-5.4',
  'grok-4.3',
  'gemini-3.5-flash',
  'qwen3.7-max',
  'openai/gpt-5.4-mini',
  'deepseek-v4-pro',
  'qwen3-235b-a22b-thinking-2507',
  'openai/gpt-5-nano',
  'gemini-3.1-flash-lite',
  'kimi-k2.6',
  'deepseek-v4-flash',
  'mistral-small-2603',
  'codestral-2508',
  'ling-2.6-flash',
] as const

/** A public model id: the launch list is documented, the catalog decides. */
export const ModelId = OpenEnum(LAUNCH_MODEL_IDS)
export const RequestedModelId = faces(
  Type.Enum([...LAUNCH_MODEL_IDS], { type: 'string', description: 'A public model id of `GET /models`.' }),
  Type.String({ minLength: 1, maxLength: 256 }),
)

const Tier = Type.Enum(['recommended', 'tier_1', 'tier_2', 'catalog'])

export const ProviderPriceCard = Type.Object(
  {
    provider: Type.String(),
    public_model_id: Type.String(),
    provider_model_id: Type.String(),
    context_band: Type.Enum(['short', 'long']),
    context_token_threshold: Type.Optional(Type.Integer()),
    service_tier: Type.Enum(['standard', 'priority', 'batch', 'flex']),
    input_token_rate: Type.Number(),
    cached_input_token_rate: Type.Optional(Type.Number()),
    output_token_rate: Type.Number(),
    effective_date: Type.Optional(Type.String()),
  },
  { $id: 'ProviderPriceCard', additionalProperties: false, description: 'Rates are USD per million tokens.' },
)
export type ProviderPriceCard = Static<typeof ProviderPriceCard>

export const ModelStatus = Type.Enum(['available', 'degraded', 'temporarily_unavailable', 'not_enabled', 'deprecated'])
export type ModelStatus = Static<typeof ModelStatus>

export const Model = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('model'),
    owned_by: Type.String(),
    display_name: Type.String(),
    available: Type.Boolean(),
    status: ModelStatus,
    input_token_rate: Type.Number(),
    output_token_rate: Type.Number(),
    availability_label: Type.Optional(Type.String()),
    catalog_tier: Type.Optional(Tier),
    compatibility_flags: Type.Optional(Type.Array(Type.String())),
    created: Type.Optional(Type.Integer()),
    deprecated_at: Type.Optional(Timestamp),
    is_default: Type.Optional(Type.Boolean()),
    latency_class: Type.Optional(Type.Enum(['low', 'standard', 'deep'])),
    max_context_tokens: Type.Optional(Type.Integer()),
    max_input_tokens: Type.Optional(Type.Integer()),
    max_output_tokens: Type.Optional(Type.Integer()),
    price_cards: Type.Optional(Type.Array(ProviderPriceCard)),
    recommended: Type.Optional(Type.Boolean()),
    recommended_for: Type.Optional(Type.Array(Type.String())),
    replaces: Type.Optional(Type.Array(Type.String())),
    sunset_at: Type.Optional(Timestamp),
    supports_chat: Type.Optional(Type.Boolean()),
    supports_code: Type.Optional(Type.Boolean()),
    supports_embeddings: Type.Optional(Type.Boolean()),
    supports_json_schema: Type.Optional(Type.Boolean()),
    supports_parallel_tool_calls: Type.Optional(Type.Boolean()),
    supports_reasoning: Type.Optional(Type.Boolean()),
    supports_streaming: Type.Optional(Type.Boolean()),
    supports_tool_choice: Type.Optional(Type.Boolean()),
    supports_tool_json_schema: Type.Optional(Type.Boolean()),
    supports_tools: Type.Optional(Type.Boolean()),
    supports_vision: Type.Optional(Type.Boolean()),
  },
  { $id: 'Model', additionalProperties: false },
)
export type Model = Static<typeof Model>

export const ModelGroup = Type.Object(
  {
    id: Type.Enum(['recommended', 'tier_1', 'tier_2', 'embeddings']),
    label: Type.String(),
    model_ids: Type.Array(Type.String()),
  },
  { $id: 'ModelGroup', additionalProperties: false },
)
export type ModelGroup = Static<typeof ModelGroup>

export const ModelList = Type.Object(
  { object: Type.Literal('list'), data: Type.Array(Model), groups: Type.Optional(Type.Array(ModelGroup)) },
  { $id: 'ModelList', additionalProperties: false },
)
export type ModelList = Static<typeof ModelList>

const PublicModelStatus = Type.Object(
  {
    id: Type.String(),
    display_name: Type.String(),
    available: Type.Boolean(),
    status: Type.String(),
    catalog_tier: Type.Optional(Tier),
    latency_class: Type.Optional(Type.String()),
    supports_chat: Type.Optional(Type.Boolean()),
    supports_code: Type.Optional(Type.Boolean()),
    supports_embeddings: Type.Optional(Type.Boolean()),
    supports_json_schema: Type.Optional(Type.Boolean()),
    supports_reasoning: Type.Optional(Type.Boolean()),
    supports_tools: Type.Optional(Type.Boolean()),
    supports_vision: Type.Optional(Type.Boolean()),
  },
  { $id: 'PublicModelStatus', additionalProperties: false },
)

export const PublicStatus = Type.Object(
  {
    object: Type.Literal('ipop.status'),
    status: Type.Enum(['available', 'degraded', 'not_enabled']),
    generated_at_unix: Type.Integer(),
    models: Type.Array(PublicModelStatus),
  },
  { $id: 'PublicStatus', additionalProperties: false },
)
export type PublicStatus = Static<typeof PublicStatus>

const PublicReadyModel = Type.Object(
  {
    id: Type.String(),
    display_name: Type.String(),
    ready: Type.Boolean(),
    status: Type.String(),
    supports_chat: Type.Boolean(),
    supports_embeddings: Type.Boolean(),
  },
  { $id: 'PublicReadyModel', additionalProperties: false },
)

export const PublicReady = Type.Object(
  {
    object: Type.Literal('ipop.ready'),
    ready: Type.Boolean(),
    generated_at_unix: Type.Integer(),
    recommended_model_id: Type.Optional(Type.String()),
    models: Type.Array(PublicReadyModel),
    setup: Type.Object(
      { env: Type.String(), health_check: Type.String(), chat_check: Type.String() },
      { $id: 'PublicReadySetup', additionalProperties: false },
    ),
  },
  { $id: 'PublicReady', additionalProperties: false },
)
export type PublicReady = Static<typeof PublicReady>

const OutputLimitName = Type.Enum(['max_tokens', 'max_completion_tokens'])

const CatalogRoute = Type.Object({
  upstream: Type.String(),
  /** The model's id there. */
  model: Type.String(),
  /** What calls that name a tier in their metadata order routes by. */
  quality: Type.Optional(Type.Enum(['low_cost', 'balanced', 'premium'])),
  latency: Type.Optional(Type.Enum(['fast', 'balanced', 'deep'])),
  /** The one name of the output limit that is told, where the upstream refuses the other for this model; both unless told. */
  output_limit_name: Type.Optional(OutputLimitName),
})
export type CatalogRoute = Static<typeof CatalogRoute>

/** Where users may have keys of their own. */
export const Provider = Type.Enum(['openai', 'anthropic', 'deepseek'])
export type Provider = Static<typeof Provider>

/** The catalog's own data, and what a deployment's CATALOG_FILE may hold: models by id override or extend. */
export const CatalogEntry = Type.Object(
  {
    id: Type.String({ minLength: 1, maxLength: 256, pattern: '^[\\x21-\\x7e]+$' }),
    /** Other names that it is asked for by. */
    aliases: Type.Optional(Type.Array(Type.String({ minLength: 1, maxLength: 256 }))),
    display_name: Type.String(),
    owned_by: Type.String(),
    tier: Tier,
    default: Type.Optional(Type.Boolean()),
    latency_class: Type.Enum(['low', 'standard', 'deep']),
    recommended_for: Type.Array(Type.String()),
    capabilities: Type.Array(
      Type.Enum([
        'chat',
        'code',
        'streaming',
        'tools',
        'parallel_tools',
        'vision',
        'json_schema',
        'reasoning',
        'embeddings',
        'images',
        'videos',
      ]),
    ),
    max_input_tokens: Type.Integer({ minimum: 1 }),
    max_output_tokens: Type.Integer({ minimum: 0 }),
    /** Inputs that its upstreams embed in one request. */
    max_embedding_inputs: Type.Optional(Type.Integer({ minimum: 1 })),
    /** What a model that draws is asked for. */
    output_modalities: Type.Optional(Type.Array(Type.Enum(['image', 'text']), { minItems: 1 })),
    /** A public tokenizer of the model's family: counts are exact with it. */
    tokenizer: Type.Optional(Type.Enum(['o200k_base', 'cl100k_base'])),
    price: Type.Object({
      input: Type.Number({ minimum: 0 }),
      cached_input: Type.Number({ minimum: 0 }),
      output: Type.Number({ minimum: 0 }),
      /** Of input that is written to the provider's cache for minutes; that of input unless told. */
      cache_write: Type.Optional(Type.Number({ minimum: 0 })),
      /** The same for an hour; that for minutes unless told. */
      cache_write_1h: Type.Optional(Type.Number({ minimum: 0 })),
      /** Whether input is written to the cache, at that price, though the request does not ask for it. */
      caches_unasked: Type.Optional(Type.Boolean()),
      /** USD an image: what is charged where the provider does not tell its cost. */
      image: Type.Optional(Type.Number({ minimum: 0 })),
      /** The most that an image can cost, of any size: what is reserved, and charged at the most. */
      image_most: Type.Optional(Type.Number({ minimum: 0 })),
      /** USD a second of video: what is charged where the provider does not tell its cost. */
      video_second: Type.Optional(Type.Number({ minimum: 0 })),
      /** The most that a second can cost, of any resolution, with sound: what is held, and charged at the most. */
      video_second_most: Type.Optional(Type.Number({ minimum: 0 })),
      effective_date: Type.Optional(Type.String()),
    }),
    price_note: Type.Optional(Type.String()),
    /** Who serves it natively, and under which id: for calls over the user's own key. */
    byok: Type.Optional(Type.Object({ provider: Provider, model: Type.String() })),
    routes: Type.Array(CatalogRoute, { minItems: 1 }),
  },
  { additionalProperties: false },
)
export type CatalogEntry = Static<typeof CatalogEntry>

export const CatalogFile = Type.Object(
  {
    upstreams: Type.Optional(
      Type.Array(
        Type.Object(
          {
            id: Type.String({ pattern: '^[a-z0-9_-]{1,40}$' }),
            base_url: Type.String({ pattern: '^https?://' }),
            /** The format it speaks: OpenAI's chat completions unless told, or Anthropic's Messages. */
            wire: Type.Optional(Type.Enum(['openai', 'anthropic'])),
            api_key_env: Type.Optional(Type.String()),
            external: Type.Optional(Type.Boolean()),
            region: Type.Optional(Type.String()),
            /** Calls beyond so many wait, by priority. */
            max_concurrency: Type.Optional(Type.Integer({ minimum: 1 })),
            /** Whether it makes a video once for an `Idempotency-Key`. */
            idempotency_keys: Type.Optional(Type.Boolean()),
            /** Whether it takes `prompt_cache_key`. */
            prompt_caching: Type.Optional(Type.Boolean()),
          },
          { additionalProperties: false },
        ),
      ),
    ),
    models: Type.Array(CatalogEntry),
  },
  { additionalProperties: false },
)
export type CatalogFile = Static<typeof CatalogFile>
