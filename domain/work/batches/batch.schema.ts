import { Type, type Static } from 'typebox'
import {
  After,
  anyObject,
  faces,
  Limit,
  nullableNumber,
  nullableObject,
  nullableString,
  Timestamp,
} from '../../core/schemas.schema.ts'

export const BATCH_STATUSES = [
  'validating',
  'in_progress',
  'finalizing',
  'completed',
  'failed',
  'expired',
  'cancelling',
  'cancelled',
] as const
export type BatchStatus = (typeof BATCH_STATUSES)[number]

export const ENDPOINTS = ['chat_completions', 'embeddings'] as const
export type BatchEndpoint = (typeof ENDPOINTS)[number]

const Count = Type.Integer({ minimum: 0 })

export const BatchJob = Type.Object(
  {
    id: Type.String(),
    owner_user_id: Type.String(),
    project_id: Type.Optional(nullableString()),
    status: Type.Enum([...BATCH_STATUSES], { type: 'string' }),
    endpoint: Type.Enum([...ENDPOINTS], { type: 'string' }),
    input_file_id: Type.String(),
    output_file_id: Type.Optional(nullableString()),
    error_file_id: Type.Optional(nullableString()),
    request_counts: Type.Object({ total: Count, completed: Count, failed: Count }),
    completion_window_secs: Type.Integer({ minimum: 1 }),
    reserved_credit_total: Type.Optional(nullableNumber()),
    last_error: Type.Optional(nullableString()),
    metadata: Type.Optional(nullableObject()),
    created_at: Timestamp,
    deadline_at: Timestamp,
    started_at: Type.Optional(nullableString('date-time')),
    cancel_requested_at: Type.Optional(nullableString('date-time')),
    completed_at: Type.Optional(nullableString('date-time')),
  },
  { $id: 'BatchJob', additionalProperties: true },
)
/** OpenAI's clients also read `object`, and type its times as seconds: `created` is one. The cost is what the rows were charged so far. */
export type BatchJob = Static<typeof BatchJob> & { object: 'batch'; usage: BatchUsage; created: number }
export interface BatchUsage {
  input_tokens: number
  output_tokens: number
  cost_usd: number
}

export const BatchJobRow = Type.Object(
  {
    batch_id: Type.String(),
    row_index: Count,
    custom_id: Type.Optional(nullableString()),
    request_id: Type.Optional(nullableString('uuid')),
    status: Type.Enum(['pending', 'queued', 'running', 'completed', 'failed', 'cancelled'], { type: 'string' }),
    output_line: Type.Optional(nullableString()),
    error: Type.Optional(nullableObject()),
    created_at: Timestamp,
    updated_at: Type.Optional(nullableString('date-time')),
  },
  { $id: 'BatchJobRow', additionalProperties: true },
)
export type BatchJobRow = Static<typeof BatchJobRow>

export const BatchDetailResponse = Type.Intersect([BatchJob, Type.Object({ rows: Type.Array(BatchJobRow) })], {
  $id: 'BatchDetailResponse',
})
export type BatchDetail = BatchJob & { rows: BatchJobRow[]; rows_has_more: boolean }

export const BatchListResponse = Type.Object(
  { object: Type.Literal('list'), data: Type.Array(BatchJob) },
  { $id: 'BatchListResponse', additionalProperties: true },
)
export interface BatchList {
  object: 'list'
  data: BatchJob[]
  has_more: boolean
  first_id: string | null
  last_id: string | null
}

export const CreateBatchRequest = Type.Object(
  {
    input_file_id: Type.String({ description: 'The id of a file uploaded with purpose `batch`.' }),
    endpoint: Type.Optional(
      faces(
        Type.Enum([...ENDPOINTS], { type: 'string', default: 'chat_completions' }),
        Type.Enum([...ENDPOINTS, '/v1/chat/completions', '/v1/embeddings']),
      ),
    ),
    completion_window: Type.Optional(
      Type.String({ default: '24h', description: 'How long the batch may run: `24h`, `30m`, `600s`; at most 7 days.' }),
    ),
    metadata: Type.Optional(faces(anyObject({ additionalProperties: true }), Type.Union([anyObject(), Type.Null()]))),
  },
  { $id: 'CreateBatchRequest', additionalProperties: true },
)
export type CreateBatchRequest = Static<typeof CreateBatchRequest>

export const BatchParams = Type.Object({ batch_id: Type.String() })

export const ListBatchesQuery = Type.Object({ limit: Type.Optional(Limit(100)), after: Type.Optional(After) })
export type ListBatchesQuery = Static<typeof ListBatchesQuery>

export const BatchDetailQuery = Type.Object({
  rows_limit: Type.Optional(Limit(1_000)),
  rows_after: Type.Optional(faces(Type.Integer(), Type.Integer({ minimum: -1, maximum: 2_147_483_647 }))),
})
export type BatchDetailQuery = Static<typeof BatchDetailQuery>
