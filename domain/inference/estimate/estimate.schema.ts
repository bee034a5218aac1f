import { Type, type Static } from 'typebox'
import { ProviderPriceCard, RequestedModelId } from '../catalog/catalog.schema.ts'
import { ChatCompletionRequest } from '../chat-request/chat.schema.ts'
import { IpopMetadata } from '../metadata/reply-metadata.schema.ts'
import { PublicRequestMetadata } from '../metadata/metadata.schema.ts'
import { faces, orNull } from '../../core/schemas.schema.ts'

const { messages, tools } = ChatCompletionRequest.properties
const limit = () => Type.Optional(orNull(Type.Integer({ minimum: 1 })))

const documented = {
  model: RequestedModelId,
  messages: Type.Optional(messages),
  input: Type.Optional(
    faces(
      Type.Unsafe({ oneOf: [Type.String(), Type.Array(Type.String())] }),
      Type.Union([
        Type.String({ minLength: 1 }),
        Type.Array(Type.String({ minLength: 1 }), { minItems: 1, maxItems: 2_048 }),
      ]),
    ),
  ),
  max_tokens: limit(),
  max_completion_tokens: limit(),
  metadata: Type.Optional(orNull(PublicRequestMetadata)),
}

/** A whole request of chat or embeddings is taken as it is: fields that do not matter to the estimate are ignored. */
export const EstimateRequest = faces(
  Type.Object(documented, { $id: 'EstimateRequest', additionalProperties: false }),
  Type.Object({ ...documented, tools }, { $id: 'EstimateRequest', additionalProperties: true }),
)
export type EstimateRequest = Static<typeof EstimateRequest> & Record<string, unknown>

const { provider, public_model_id, provider_model_id, context_band, service_tier, effective_date } =
  ProviderPriceCard.properties
const tokens = () => Type.Integer()

const ProviderCostBreakdown = Type.Object(
  {
    provider,
    public_model_id,
    provider_model_id,
    context_band,
    service_tier,
    input_token_rate: Type.Number(),
    cached_input_token_rate: Type.Optional(Type.Number()),
    output_token_rate: Type.Number(),
    effective_date,
    uncached_input_tokens: tokens(),
    cached_input_tokens: tokens(),
    output_tokens: tokens(),
    reasoning_tokens: tokens(),
    cost_usd: Type.Number(),
  },
  { $id: 'ProviderCostBreakdown', additionalProperties: false },
)

export const EstimateResponse = Type.Object(
  {
    object: Type.Literal('ipop.estimate'),
    model: Type.String(),
    kind: Type.Enum(['chat', 'embeddings']),
    estimated_prompt_tokens: tokens(),
    estimated_completion_tokens: tokens(),
    estimated_total_tokens: tokens(),
    estimated_cost_usd: Type.Number(),
    input_token_rate: Type.Number(),
    output_token_rate: Type.Number(),
    max_input_tokens: Type.Optional(Type.Integer()),
    max_output_tokens: Type.Optional(Type.Integer()),
    within_context_window: Type.Boolean(),
    pricing: Type.Optional(ProviderCostBreakdown),
    warnings: Type.Optional(Type.Array(Type.String())),
    ipop: IpopMetadata,
  },
  { $id: 'EstimateResponse', additionalProperties: false },
)
export type EstimateResponse = Static<typeof EstimateResponse>
