import { Type, type Static } from 'typebox'
import { anyObject, faces, orNull } from '../../core/schemas.schema.ts'

const MOST_CALLS = 512

const FunctionCall = Type.Object({ name: Type.String(), arguments: Type.String() }, { additionalProperties: true })
const ToolCall = Type.Object(
  { id: Type.String(), type: Type.Literal('function'), function: FunctionCall },
  { additionalProperties: true },
)

export const AgentToolBatchPlanRequest = Type.Object(
  {
    schema_version: faces(Type.Integer(), Type.Integer({ minimum: 1, maximum: 1 })),
    client: Type.Optional(orNull(Type.String())),
    workspace_policy: Type.Optional(orNull(Type.String())),
    tool_calls: faces(Type.Array(ToolCall), Type.Array(ToolCall, { maxItems: MOST_CALLS })),
  },
  { $id: 'AgentToolBatchPlanRequest', additionalProperties: true },
)
export type AgentToolBatchPlanRequest = Static<typeof AgentToolBatchPlanRequest>

export const AgentToolBatchPlanResponse = Type.Object(
  {
    object: Type.Literal('agent_tool_batch_plan'),
    schema_version: Type.Integer(),
    groups: Type.Array(anyObject({ additionalProperties: true })),
    decisions: Type.Array(anyObject({ additionalProperties: true })),
  },
  { $id: 'AgentToolBatchPlanResponse', additionalProperties: true },
)
