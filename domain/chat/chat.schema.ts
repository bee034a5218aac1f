import { Type, type Static } from 'typebox'
import { RequestedModelId } from '../catalog/catalog.schema.ts'
import { anyObject, faces, orNull } from '../schemas.schema.ts'
import { PublicRequestMetadata } from './metadata.schema.ts'

const Message = faces(
  anyObject(),
  Type.Object({
    role: Type.Enum(['system', 'developer', 'user', 'assistant', 'tool', 'function']),
    content: Type.Optional(
      Type.Union([Type.String(), Type.Null(), Type.Array(Type.Object({ type: Type.String({ minLength: 1 }) }))]),
    ),
  }),
)

const Tool = faces(anyObject(), Type.Object({ type: Type.String({ minLength: 1 }) }))

const EFFORTS = ['low', 'medium', 'high', 'xhigh']

export const ChatCompletionRequest = Type.Object(
  {
    model: RequestedModelId,
    messages: faces(Type.Array(anyObject()), Type.Array(Message, { minItems: 1 })),
    max_completion_tokens: Type.Optional(orNull(Type.Integer({ minimum: 1 }))),
    max_tokens: Type.Optional(orNull(Type.Integer({ minimum: 1 }))),
    metadata: Type.Optional(orNull(PublicRequestMetadata)),
    reasoning_effort: Type.Optional(
      faces(
        Type.Enum(EFFORTS, { type: 'string' }),
        Type.Union([Type.Enum(['none', 'minimal', ...EFFORTS]), Type.Null()]),
      ),
    ),
    response_format: Type.Optional(Type.Unknown()),
    service_tier: Type.Optional(
      faces(
        Type.Enum(['standard', 'priority'], { type: 'string' }),
        Type.Union([Type.Enum(['standard', 'priority', 'auto', 'default']), Type.Null()]),
      ),
    ),
    stream: Type.Optional(orNull(Type.Boolean({ default: false }))),
    temperature: Type.Optional(orNull(Type.Number())),
    tool_choice: Type.Optional(
      faces(Type.Unknown(), Type.Union([Type.String({ minLength: 1 }), anyObject(), Type.Null()])),
    ),
    tools: Type.Optional(orNull(Type.Array(Tool))),
  },
  { $id: 'ChatCompletionRequest', additionalProperties: true },
)
export type ChatCompletionRequest = Static<typeof ChatCompletionRequest> & Record<string, unknown>

export const Usage = Type.Object(
  {
    prompt_tokens: Type.Integer(),
    completion_tokens: Type.Integer(),
    total_tokens: Type.Integer(),
    prompt_tokens_details: Type.Optional(
      Type.Object(
        { cached_tokens: Type.Optional(Type.Integer()), cache_creation_input_tokens: Type.Optional(Type.Integer()) },
        { additionalProperties: true },
      ),
    ),
    completion_tokens_details: Type.Optional(
      Type.Object({ reasoning_tokens: Type.Optional(Type.Integer()) }, { additionalProperties: true }),
    ),
  },
  { $id: 'Usage', additionalProperties: false },
)
export type Usage = Static<typeof Usage>

export const IpopMetadata = Type.Object(
  {
    request_id: Type.String(),
    latency_ms: Type.Integer(),
    cost_usd: Type.Number(),
    cache_hit: Type.Boolean(),
    estimated_cost_usd: Type.Optional(Type.Number()),
    external_fallback_after_ms: Type.Optional(Type.Integer()),
    fallback_count: Type.Optional(Type.Integer()),
    fallback_reason: Type.Optional(
      Type.Enum([
        'h100_no_capacity',
        'h100_admission_failed',
        'h100_first_progress_timeout',
        'h100_terminal_failure',
        'external_after_h100_grace',
      ]),
    ),
    fallback_used: Type.Optional(Type.Boolean()),
    primary_first_progress_ms: Type.Optional(Type.Integer()),
    primary_route_attempted: Type.Optional(Type.Boolean()),
    primary_route_model: Type.Optional(Type.String()),
    primary_route_request_id: Type.Optional(Type.String()),
    region: Type.Optional(Type.String()),
    route_class: Type.Optional(Type.Enum(['cache', 'ipop_network', 'regional_capacity', 'external_capacity'])),
  },
  { $id: 'IpopMetadata', additionalProperties: false },
)
export type IpopMetadata = Static<typeof IpopMetadata>

export const ChatCompletionResponse = Type.Object(
  {
    id: Type.String(),
    object: Type.String(),
    created: Type.Integer(),
    model: Type.String(),
    choices: Type.Array(anyObject()),
    usage: Usage,
    ipop: IpopMetadata,
  },
  { $id: 'ChatCompletionResponse', additionalProperties: false },
)
export type ChatCompletionResponse = Static<typeof ChatCompletionResponse>
