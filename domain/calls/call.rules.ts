import type { Nanos } from '../ledger/money.rules.ts'
import type { Owner } from '../tenancy/tenancy.rules.ts'

export type CallStatus = 'completed' | 'failed' | 'canceled'
export type UsageSource = 'upstream' | 'counted' | 'none'

/** Tokens of a call. `cached` is part of `input`, `reasoning` of `output`; undefined where the upstream did not say. */
export interface TokenUsage {
  input: number
  output: number
  cached?: number | undefined
  reasoning?: number | undefined
}

/** One model call as it is recorded and billed: the id is fixed before the first attempt and makes both unique. */
export interface CallRecord {
  id: string
  owner: Owner
  keyId: string
  surface: 'chat' | 'batch'
  /** The job the call is part of; its hold pays first. */
  resourceId: string | null
  model: string
  upstream: string | null
  upstreamModel: string | null
  status: CallStatus
  errorCode: string | null
  streamed: boolean
  usage: TokenUsage
  usageSource: UsageSource
  costNanos: Nanos
  providerBilled: boolean
  fallbackCount: number
  durationMs: number
  firstTokenMs: number | null
  createdAt: Date
}
