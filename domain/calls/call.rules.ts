import type { KeptContent } from '../capture/capture.rules.ts'
import type { Nanos } from '../ledger/money.rules.ts'
import type { Owner } from '../tenancy/tenancy.rules.ts'

export const CALL_SURFACES = ['chat', 'batch', 'embeddings', 'responses', 'images', 'videos', 'replay', 'turn'] as const
/** Through which operation a call came. */
export type CallSurface = (typeof CALL_SURFACES)[number]

export type CallStatus = 'completed' | 'failed' | 'canceled'
export type UsageSource = 'upstream' | 'counted' | 'none'

/**
 * Tokens of a call. `cached` and `cacheWrites` are part of `input`, `reasoning` of `output`; undefined where the
 * upstream did not say.
 */
export interface TokenUsage {
  input: number
  output: number
  cached?: number | undefined
  cacheWrites?: number | undefined
  reasoning?: number | undefined
}

/** What a call has used, and its price where that is not by tokens. */
export interface CallResult {
  usage: TokenUsage
  source: UsageSource
  costNanos?: Nanos
  /** What the project's content policy keeps of it. */
  content?: KeptContent | undefined
}

export const NOTHING_USED: CallResult = { usage: { input: 0, output: 0 }, source: 'none' }

/** One model call as it is recorded and billed: the id is fixed before the first attempt and makes both unique. */
export interface CallRecord {
  id: string
  owner: Owner
  keyId: string
  surface: CallSurface
  /** The job the call is part of; its hold pays first. */
  resourceId: string | null
  model: string
  /** The id that the client asked for, where it is another name of the model. */
  requestedModel: string | null
  /** As the client gave it. */
  metadata: object | null
  /** The earlier request that this one repeats. */
  replayOf: string | null
  upstream: string | null
  upstreamModel: string | null
  status: CallStatus
  errorCode: string | null
  streamed: boolean
  usage: TokenUsage
  usageSource: UsageSource
  costNanos: Nanos
  /** Whether the provider billed the caller's own account, by `credentialId`. */
  providerBilled: boolean
  credentialId: string | null
  cacheHit: boolean
  fallbackCount: number
  durationMs: number
  firstTokenMs: number | null
  createdAt: Date
  /** What the project's content policy keeps of it. */
  content?: KeptContent | undefined
}
