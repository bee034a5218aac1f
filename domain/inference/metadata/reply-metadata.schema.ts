import { Type, type Static } from 'typebox'

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
