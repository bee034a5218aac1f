import { Type, type Static } from 'typebox'
import { anyObject, faces } from '../../core/schemas.schema.ts'

export const AgentClient = Type.Enum(['opencode', 'hermes'])
export type AgentClient = Static<typeof AgentClient>

const open = () => anyObject({ additionalProperties: true })
const texts = () => Type.Unsafe<Record<string, string>>({ type: 'object', additionalProperties: Type.String() })

export const AgentClientConfigResponse = Type.Object(
  {
    object: Type.Literal('agent_client_config'),
    client: AgentClient,
    config: open(),
    redacted_config: Type.Optional(open()),
    install_hints: Type.Optional(Type.Array(Type.String())),
    validation: Type.Object(
      {
        fingerprint: Type.Optional(Type.String()),
        freshness_url: Type.Optional(Type.String()),
        selected_model_id: Type.Optional(Type.String()),
      },
      { additionalProperties: true },
    ),
  },
  { $id: 'AgentClientConfigResponse', additionalProperties: true },
)
export type AgentClientConfigResponse = Static<typeof AgentClientConfigResponse>

export const AgentClientConfigFreshnessResponse = Type.Object(
  {
    object: Type.Literal('agent_client_config_freshness'),
    client: AgentClient,
    fingerprint: Type.Optional(Type.String()),
    fresh: Type.Boolean(),
    refresh_recommended: Type.Boolean(),
    selected_model_id: Type.Optional(Type.String()),
  },
  { $id: 'AgentClientConfigFreshnessResponse', additionalProperties: true },
)
export type AgentClientConfigFreshnessResponse = Static<typeof AgentClientConfigFreshnessResponse>

export const ClientConfigQuery = Type.Object({
  redact_secrets: Type.Optional(
    Type.Boolean({ default: false, description: 'Return a shareable config copy without raw secrets.' }),
  ),
})

const ShortText = () => faces(Type.String(), Type.String({ minLength: 1, maxLength: 256 }))
export const FreshnessQuery = Type.Object({
  fingerprint: ShortText(),
  selected_model_id: Type.Optional(ShortText()),
})
export type FreshnessQuery = Static<typeof FreshnessQuery>

export const AgentCapabilitiesResponse = Type.Object(
  {
    object: Type.Literal('agent_capabilities'),
    schema_version: Type.Integer(),
    capability_fingerprint: Type.String(),
    urls: texts(),
    default_model_id: Type.Optional(Type.String()),
    model_ids: Type.Optional(Type.Array(Type.String())),
    streaming: Type.Optional(open()),
    tool_calls: Type.Optional(open()),
    resumable_turns: Type.Optional(open()),
    orchestration: Type.Optional(open()),
    client_configs: Type.Optional(Type.Array(open())),
    conformance_profiles: Type.Optional(Type.Array(Type.String())),
    minimum_client_versions: Type.Optional(texts()),
  },
  { $id: 'AgentCapabilitiesResponse', additionalProperties: true },
)
export type AgentCapabilitiesResponse = Static<typeof AgentCapabilitiesResponse>
