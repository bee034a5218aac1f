import { Type, type Static } from 'typebox'
import { faces, orNull } from '../../core/schemas.schema.ts'

const flag = () => Type.Optional(orNull(Type.Boolean()))

export const ModelRecommendationRequest = Type.Object(
  {
    task: Type.Optional(orNull(faces(Type.String(), Type.String({ maxLength: 10_000 })))),
    quality_tier: Type.Optional(
      orNull(
        Type.Unsafe<'low_cost' | 'balanced' | 'premium'>({ type: 'string', enum: ['low_cost', 'balanced', 'premium'] }),
      ),
    ),
    prefer_low_latency: flag(),
    require_json_schema: flag(),
    require_tools: flag(),
    require_vision: flag(),
    include_unavailable: flag(),
    max_cost_per_million_output_usd: Type.Optional(orNull(faces(Type.Number(), Type.Number({ minimum: 0 })))),
    max_input_tokens: Type.Optional(orNull(faces(Type.Integer(), Type.Integer({ minimum: 1 })))),
  },
  { $id: 'ModelRecommendationRequest', additionalProperties: false },
)
export type ModelRecommendationRequest = Static<typeof ModelRecommendationRequest>

const ModelRecommendation = Type.Object(
  {
    model: Type.String(),
    display_name: Type.String(),
    score: Type.Number(),
    reason: Type.String(),
    available: Type.Boolean(),
    status: Type.String(),
    latency_class: Type.Optional(Type.String()),
    input_token_rate: Type.Number(),
    output_token_rate: Type.Number(),
  },
  { $id: 'ModelRecommendation', additionalProperties: false },
)
export type ModelRecommendation = Static<typeof ModelRecommendation>

export const ModelRecommendationResponse = Type.Object(
  { object: Type.Literal('model.recommendations'), recommendations: Type.Array(ModelRecommendation) },
  { $id: 'ModelRecommendationResponse', additionalProperties: false },
)
export type ModelRecommendationResponse = Static<typeof ModelRecommendationResponse>
