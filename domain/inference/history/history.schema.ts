import { Type, type Static } from 'typebox'
import { CALL_SURFACES } from '../../money/usage/surface.rules.ts'
import { anyObject, faces, Limit, QueryText, QueryTime, Timestamp } from '../../core/schemas.schema.ts'
import { TokenDetails } from '../../money/usage/usage.schema.ts'

export const RequestHistoryRecord = Type.Object(
  {
    request_id: Type.String(),
    model: Type.String(),
    requested_model_id: Type.Optional(Type.String()),
    execution_kind: Type.String(),
    status: Type.String(),
    tokens_in: Type.Integer(),
    tokens_out: Type.Integer(),
    token_details: Type.Optional(TokenDetails),
    cost: Type.Number(),
    error: Type.Optional(Type.String()),
    cancellation_reason: Type.Optional(Type.String()),
    request_metadata: Type.Optional(anyObject()),
    result_preview: Type.Optional(Type.String()),
    created_at: Timestamp,
    started_at: Type.Optional(Timestamp),
    completed_at: Type.Optional(Timestamp),
    updated_at: Timestamp,
  },
  { $id: 'RequestHistoryRecord', additionalProperties: false },
)
export type RequestHistoryRecord = Static<typeof RequestHistoryRecord>

export const RequestHistoryList = Type.Array(RequestHistoryRecord, { $id: 'RequestHistoryList' })
export type RequestHistoryList = Static<typeof RequestHistoryList>

const filters = {
  from: Type.Optional(QueryTime('Only requests from this time on, ISO 8601')),
  to: Type.Optional(QueryTime('Only requests before this time, ISO 8601')),
  model: Type.Optional(QueryText('Only requests of this public model id')),
  execution_kind: Type.Optional(Type.Enum([...CALL_SURFACES], { description: 'Only requests that came this way' })),
  status: Type.Optional(Type.Enum(['completed', 'failed', 'canceled'], { description: 'Only requests that ended so' })),
  api_key_id: Type.Optional(QueryText('Only requests of this API key')),
  session_id: Type.Optional(QueryText('Only requests whose metadata names this session')),
  replay_of: Type.Optional(QueryText('Only replays of this request')),
}

export const HistoryExportQuery = Type.Object(filters)
export type HistoryExportQuery = Static<typeof HistoryExportQuery>

export const HistoryQuery = Type.Object({
  ...filters,
  limit: Type.Optional(Limit(500)),
  after: Type.Optional(QueryText('The cursor of `x-next-cursor`')),
})
export type HistoryQuery = Static<typeof HistoryQuery>

const text = (maxLength: number) => Type.Optional(faces(Type.String(), Type.String({ minLength: 1, maxLength })))

export const RequestFeedbackRequest = Type.Object(
  {
    rating: Type.Optional(Type.Integer({ minimum: -1, maximum: 1 })),
    outcome: text(200),
    task_type: text(200),
    notes: text(4_000),
  },
  { $id: 'RequestFeedbackRequest', additionalProperties: false },
)
export type RequestFeedbackRequest = Static<typeof RequestFeedbackRequest>

export const RequestFeedbackResponse = Type.Object(
  { object: Type.Literal('request.feedback'), request_id: Type.String(), recorded: Type.Boolean() },
  { $id: 'RequestFeedbackResponse', additionalProperties: false },
)
export type RequestFeedbackResponse = Static<typeof RequestFeedbackResponse>
