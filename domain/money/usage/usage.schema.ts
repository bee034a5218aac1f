import { Type, type Static } from 'typebox'
import { CALL_SURFACES } from './surface.rules.ts'
import { Limit, QueryText, QueryTime, Timestamp } from '../../core/schemas.schema.ts'

const nullableCount = () => Type.Optional(Type.Unsafe<number | null>({ type: ['integer', 'null'], minimum: 0 }))

export const TokenDetails = Type.Object(
  { cached_input_tokens: nullableCount(), reasoning_tokens: nullableCount(), total_tokens: nullableCount() },
  { $id: 'InferenceTokenUsageDetails', additionalProperties: false },
)
export type TokenDetails = Static<typeof TokenDetails>

export const UsageRecord = Type.Object(
  {
    request_id: Type.String(),
    model: Type.String(),
    tokens_in: Type.Integer(),
    tokens_out: Type.Integer(),
    token_details: Type.Optional(TokenDetails),
    cost: Type.Number(),
    provider_billed: Type.Boolean(),
    duration_ms: Type.Integer(),
    created_at: Timestamp,
  },
  { $id: 'UsageRecord', additionalProperties: false },
)
export type UsageRecord = Static<typeof UsageRecord>

export const UsageSummary = Type.Object(
  {
    total_requests: Type.Integer(),
    total_tokens_in: Type.Integer(),
    total_tokens_out: Type.Integer(),
    total_cost: Type.Number(),
    records: Type.Array(UsageRecord),
  },
  { $id: 'UsageSummary', additionalProperties: false },
)
export type UsageSummary = Static<typeof UsageSummary>

const filters = {
  from: Type.Optional(QueryTime('Only calls from this time on, ISO 8601')),
  to: Type.Optional(QueryTime('Only calls before this time, ISO 8601')),
  model: Type.Optional(QueryText('Only calls of this public model id')),
  surface: Type.Optional(Type.Enum([...CALL_SURFACES], { description: 'Only calls that came this way' })),
  api_key_id: Type.Optional(QueryText('Only calls of this API key')),
}

export const UsageExportQuery = Type.Object(filters)
export type UsageExportQuery = Static<typeof UsageExportQuery>

export const UsageQuery = Type.Object({
  ...filters,
  limit: Type.Optional(Limit(1_000)),
  after: Type.Optional(QueryText('The cursor of `x-next-cursor`')),
})
export type UsageQuery = Static<typeof UsageQuery>
