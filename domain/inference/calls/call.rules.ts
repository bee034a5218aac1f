import type { KeptContent } from '../redaction/capture.rules.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'
import type { Owner } from '../../core/caller.rules.ts'
import type { CallSurface } from '../../money/usage/surface.rules.ts'
import type { TokenUsage } from '../tokens/token-usage.rules.ts'

export type CallStatus = 'completed' | 'failed' | 'canceled'
export type UsageSource = 'upstream' | 'counted' | 'none'

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
