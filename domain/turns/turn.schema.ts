import { Type, type Static } from 'typebox'
import { ChatCompletionRequest } from '../chat/chat.schema.ts'
import { orNull } from '../schemas.schema.ts'

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

export const AgentTurnCreateRequest = Type.Object(
  {
    model,
    messages,
    metadata,
    response_format,
    tool_choice,
    tools,
    max_completion_tokens: others.max_completion_tokens,
    max_tokens: others.max_tokens,
    temperature: others.temperature,
    reasoning_effort: others.reasoning_effort,
    stream: Type.Optional(orNull(Type.Boolean({ default: true }))),
  },
  { $id: 'AgentTurnCreateRequest', additionalProperties: true },
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
