import { Type, type Static } from 'typebox'
import { faces, orNull } from '../../core/schemas.schema.ts'

const LARGEST_COUNT = Number.MAX_SAFE_INTEGER
const MOST_CHARACTERS = 1_024
const MOST_CHUNK_IDS = 1_000

const flag = () => Type.Optional(orNull(Type.Boolean()))
const count = (minimum = 0) =>
  Type.Optional(orNull(faces(Type.Integer(), Type.Integer({ minimum, maximum: LARGEST_COUNT }))))
const text = () => Type.Optional(orNull(faces(Type.String(), Type.String({ maxLength: MOST_CHARACTERS }))))
const oneOf = <Value extends string>(values: Value[], options: object = {}) =>
  Type.Optional(orNull(Type.Unsafe<Value>({ type: 'string', enum: values, ...options })))
const choice = <Value extends string>(...values: Value[]) => oneOf(values)
const chosen = <Value extends string>(fallback: NoInfer<Value>, ...values: Value[]) =>
  oneOf(values, { default: fallback })

const fields = {
  adaptive_speculative_decoding: flag(),
  apply_model_diff_repair_requests: count(),
  apply_model_diff_requests: count(),
  apply_model_fallback_rewrites: count(),
  apply_model_latency_ms_total: count(),
  apply_model_requests: count(),
  apply_model_successes: count(),
  approximate_tokens_ok: flag(),
  byok_fallback_policy: choice(
    'byok_first_with_hosted_fallback',
    'byok_only',
    'hosted_only',
    'fail_closed_on_byok_error',
  ),
  cache_mode: choice('default', 'aggressive', 'bypass'),
  client_disconnect_cancel: flag(),
  contains_pii: flag(),
  context_cleaner_bytes_saved: count(),
  context_delta_base_key: text(),
  context_delta_bytes: count(),
  context_delta_message_count: count(),
  context_delta_message_offset: count(),
  context_delta_policy: choice('none', 'metadata'),
  context_latency_budget_policy: choice('default', 'aggressive'),
  disable_external_fallback: flag(),
  dispatch_push_policy: choice('claim_long_poll_notify', 'persistent_stream'),
  early_answer_policy: choice('none', 'stream_first_sentence'),
  fallback_profile: choice('network_first', 'latency_first', 'cost_first', 'privacy_first'),
  fast_lane: flag(),
  hard_session_pin: flag(),
  hedge_after_ms: count(),
  hot_slot_count: count(),
  include_route_metadata: flag(),
  intent_tool_prefetch: flag(),
  kv_cache_policy: choice('none', 'prefix_reuse'),
  latency_admission_policy: choice('default', 'interactive_slo'),
  latency_canary_policy: choice('none', 'probe'),
  latency_policy_variant: choice('a', 'b'),
  latency_profile: text(),
  latency_queue_budget_ms: count(),
  latency_target_ms: count(),
  latency_tier: choice('fast', 'balanced', 'deep'),
  max_cost_usd: Type.Optional(orNull(faces(Type.Number(), Type.Number({ exclusiveMinimum: 0, maximum: 1e6 })))),
  max_output_tokens: count(1),
  microbatch_window_ms: count(),
  no_tool_fast_path: flag(),
  partial_result_policy: choice('none', 'progress_events'),
  prefer_region: text(),
  prefill_queue_policy: choice('inline', 'dedicated'),
  prefill_warm: flag(),
  prefix_cache_canonicalization: choice('none', 'terminail_v2'),
  prefix_cache_key: text(),
  priority: choice('background', 'foreground', 'interactive', 'realtime'),
  prompt_budget_bytes: count(),
  prompt_bytes: count(),
  prompt_cache_key: text(),
  prompt_cache_policy: chosen('auto', 'auto', 'off'),
  prompt_cache_ttl: chosen('5m', '5m', '1h'),
  quality_tier: choice('low_cost', 'balanced', 'premium'),
  read_file_cache_hits: count(),
  read_file_cache_misses: count(),
  read_file_unchanged_markers: count(),
  reasoning_effort: choice('low', 'medium', 'high', 'xhigh'),
  request_type: text(),
  resident_hot_load: flag(),
  semantic_index_chunk_count: count(),
  semantic_index_fallback_embedding_chunks: count(),
  semantic_index_indexed_file_count: count(),
  semantic_index_last_refresh_unix_secs: count(),
  semantic_index_stale_file_count: count(),
  semantic_retrieval_chunk_ids: Type.Optional(
    orNull(
      faces(
        Type.Array(Type.String()),
        Type.Array(Type.String({ maxLength: MOST_CHARACTERS }), { maxItems: MOST_CHUNK_IDS }),
      ),
    ),
  ),
  semantic_retrieval_context_bytes: count(),
  sensitive: flag(),
  service_tier: choice('standard', 'priority'),
  session_id: text(),
  small_model_first: flag(),
  speculative_prepare_execution: flag(),
  stream_backpressure_policy: choice('none', 'dispatch_backoff'),
  tool_result_cache_policy: choice('none', 'turn', 'cross_turn'),
  tool_result_cache_ttl_ms: count(),
  tool_schema_hash: text(),
  tool_schema_policy: choice('inline', 'hash_reference'),
  transport_streaming_profile: choice('default', 'flush'),
  ttft_target_ms: count(),
}

export const PublicRequestMetadata = Type.Object(fields, { $id: 'PublicRequestMetadata', additionalProperties: true })
export type PublicRequestMetadata = Static<typeof PublicRequestMetadata>
