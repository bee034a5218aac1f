import type { PublicRequestMetadata } from '../metadata/metadata.schema.ts'
import { badRequest, DomainError } from '../../core/errors.ts'
import { isStorable } from '../../core/text.rules.ts'
import type { KeyRules } from '../../core/caller.rules.ts'

const MOST_METADATA_CHARACTERS = 16_384

export type LatencyTier = 'fast' | 'balanced' | 'deep'
export type QualityTier = 'low_cost' | 'balanced' | 'premium'
export type OwnKeyPolicy = 'first' | 'only' | 'never' | 'without_hosted_fallback'

/** What a request's metadata asks of the routes of its call. */
export interface CallPolicy {
  /** Nothing may leave the operator's own network. */
  internalOnly: boolean
  /** The first route may be external, its fallbacks not. */
  noExternalFallback: boolean
  ownKeys: OwnKeyPolicy
  profile: 'network_first' | 'latency_first' | 'cost_first' | undefined
  region: string | undefined
  quality: QualityTier | undefined
  latency: LatencyTier | undefined
  /** The longest time to a first token that is wanted. */
  firstTokenMs: number | undefined
  /** Calls of one session go where the last one was answered. */
  sessionId: string | undefined
  /** After so long without an answer the next route is asked too. */
  hedgeAfterMs: number | undefined
  /** Higher goes first where calls wait for a slot at an upstream. */
  priority: number
  /** The longest wait for such a slot. */
  queueBudgetMs: number | undefined
  promptCache: PromptCache | undefined
}

export interface PromptCache {
  key: string | undefined
  ttl: '5m' | '1h'
}

type Metadata = PublicRequestMetadata | null | undefined

const PRIORITIES = { background: 0, foreground: 1, interactive: 2, realtime: 3 }
const DEFAULT_PRIORITY = PRIORITIES.foreground
/** Rows of batches go after every interactive call. */
export const BACKGROUND_PRIORITY = PRIORITIES.background - 1

const OWN_KEYS: Record<NonNullable<PublicRequestMetadata['byok_fallback_policy']>, OwnKeyPolicy> = {
  byok_first_with_hosted_fallback: 'first',
  byok_only: 'only',
  hosted_only: 'never',
  fail_closed_on_byok_error: 'without_hosted_fallback',
}

/**
 * The policy that a key's rules and a request's metadata make together.
 * Errors: 400 where the metadata is too large, 403 where the key may not ask for what it asks.
 */
export function callPolicyOf(metadata: Metadata, rules: KeyRules): CallPolicy {
  if (metadata === undefined || metadata === null) return rules.externalProcessing ? UNSTEERED : UNSTEERED_INTERNAL
  return policyOf(withoutNulls(metadata), rules)
}

function policyOf(asked: Partial<Asked>, rules: KeyRules): CallPolicy {
  requireBounded(asked)
  requireSmokeTest(asked, rules)
  return {
    internalOnly: !rules.externalProcessing || isPrivate(asked),
    noExternalFallback: asked.disable_external_fallback === true,
    ownKeys: OWN_KEYS[asked.byok_fallback_policy ?? 'byok_first_with_hosted_fallback'],
    profile: asked.fallback_profile === 'privacy_first' ? undefined : asked.fallback_profile,
    region: asked.prefer_region,
    quality: asked.quality_tier,
    latency: asked.latency_tier ?? (asked.fallback_profile === 'latency_first' ? 'fast' : undefined),
    firstTokenMs: asked.ttft_target_ms ?? asked.latency_target_ms,
    sessionId: asked.session_id,
    hedgeAfterMs: asked.hedge_after_ms,
    priority: priorityOf(asked),
    queueBudgetMs: asked.latency_queue_budget_ms,
    promptCache: promptCacheOf(asked),
  }
}

type Asked = { [Name in keyof PublicRequestMetadata]: NonNullable<PublicRequestMetadata[Name]> }

/** Null stands for absent. */
const withoutNulls = (metadata: PublicRequestMetadata): Partial<Asked> =>
  Object.fromEntries(Object.entries(metadata).filter(([, value]) => value !== null))

function requireSmokeTest(asked: Partial<Asked>, rules: KeyRules): void {
  if (asked.disable_external_fallback !== true || rules.smokeTest) return
  throw new DomainError(
    403,
    'policy_violation',
    '`metadata.disable_external_fallback` is for keys that were made for smoke tests.',
    { type: 'policy_violation', param: 'metadata.disable_external_fallback' },
  )
}

/** Whether the request says that its content is not for others. */
export const isPrivate = (metadata: Metadata): boolean =>
  metadata?.contains_pii === true || metadata?.sensitive === true || metadata?.fallback_profile === 'privacy_first'

/** It is stored with the call. */
function requireBounded(metadata: object): void {
  if (!isStorable(metadata)) throw badRequest('`metadata` holds a NUL or an unpaired surrogate.', 'metadata')
  if (JSON.stringify(metadata).length <= MOST_METADATA_CHARACTERS) return
  throw badRequest(`\`metadata\` may hold at most ${MOST_METADATA_CHARACTERS} characters as JSON.`, 'metadata')
}

/** The paid tier goes before its own priority's others. */
function priorityOf({ priority, service_tier }: Partial<Asked>): number {
  const level = priority === undefined ? DEFAULT_PRIORITY : PRIORITIES[priority]
  return level + (service_tier === 'priority' ? 0.5 : 0)
}

function promptCacheOf(asked: Partial<Asked>): PromptCache | undefined {
  const { prompt_cache_policy: policy, prompt_cache_key: key, prompt_cache_ttl: ttl } = asked
  if (policy === 'off' || (policy ?? key ?? ttl) === undefined) return undefined
  return { key, ttl: ttl ?? '5m' }
}

/** What most calls have: made once. */
const UNSTEERED = policyOf({}, { allowedModels: null, externalProcessing: true, smokeTest: false })
const UNSTEERED_INTERNAL: CallPolicy = { ...UNSTEERED, internalOnly: true }
