import { Type, type Static } from 'typebox'
import { ChatCompletionRequest } from '../../inference/chat-request/chat.schema.ts'
import { faces, orNull } from '../../core/schemas.schema.ts'

export const TurnLifecycle = Type.Enum([
  'queued',
  'warming',
  'running',
  'streaming',
  'tooling',
  'cancel_requested',
  'completed',
  'failed',
  'canceled',
])
export type TurnLifecycle = Static<typeof TurnLifecycle>

const { model, messages, metadata, response_format, tool_choice, tools, ...others } = ChatCompletionRequest.properties
const fields = {
  model,
  messages,
  metadata,
  response_format,
  tool_choice,
  tools,
  stream: Type.Optional(orNull(Type.Boolean({ default: true }))),
}
const { max_completion_tokens, max_tokens, temperature, reasoning_effort } = others
const options = { $id: 'AgentTurnCreateRequest', additionalProperties: true }

/** Whatever else a chat takes passes through to the model here too. */
export const AgentTurnCreateRequest = faces(
  Type.Object(fields, options),
  Type.Object({ ...fields, max_completion_tokens, max_tokens, temperature, reasoning_effort }, options),
)
export type AgentTurnCreateRequest = Static<typeof AgentTurnCreateRequest> & Record<string, unknown>

export const AgentTurnResponse = Type.Object(
  {
    object: Type.Literal('agent_turn'),
    request_id: Type.String(),
    lifecycle: TurnLifecycle,
    model: Type.Optional(Type.String()),
    latest_event_seq: Type.Optional(Type.Integer()),
    full_event_replay_available: Type.Optional(Type.Boolean()),
    detail_url: Type.Optional(Type.String()),
    events_url: Type.Optional(Type.String()),
    cancel_url: Type.Optional(Type.String()),
    replay_url: Type.Optional(Type.String()),
    request_history_url: Type.Optional(Type.String()),
    retryable: Type.Optional(Type.Boolean()),
    retry_after_seconds: Type.Optional(Type.Integer()),
  },
  { $id: 'AgentTurnResponse', additionalProperties: true },
)
export type AgentTurnResponse = Static<typeof AgentTurnResponse>

export const TurnEventsQuery = Type.Object({
  after_event_seq: Type.Optional(
    Type.Integer({ minimum: 0, description: 'Only events after this one; as the header `Last-Event-ID`.' }),
  ),
})
