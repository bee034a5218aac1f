import type { Log } from '../../infra/log.ts'
import { isAborted, UpstreamFailure } from '../../infra/upstreams/upstream.ts'
import type { KeptContent } from '../capture/capture.rules.ts'
import type { Route } from '../catalog/catalog.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { priceOfCall } from '../catalog/pricing.rules.ts'
import type { IpopMetadata } from '../chat/chat.schema.ts'
import type { PublicRequestMetadata } from '../chat/metadata.schema.ts'
import { DomainError } from '../errors.ts'
import type { Balances, Reservation } from '../ledger/balances.ts'
import { usdNumber, type Nanos } from '../ledger/money.rules.ts'
import type { Caller } from '../tenancy/tenancy.rules.ts'
import {
  answeredFields,
  type CallRecord,
  type CallStatus,
  type CallSurface,
  type TokenUsage,
  type UsageSource,
} from './call.rules.ts'
import type { RecordCall } from './call.service.ts'
import type { OpenCalls } from './open-calls.ts'

/** What the access line tells of a call. */
export interface CallFacts {
  model: string
  tokensIn: number
  tokensOut: number
  costUsd: number
}

export interface CallDeps {
  balances: Balances
  recordCall: RecordCall
  openCalls: OpenCalls
  log: Log
}

/** A call as it is admitted. */
export interface CallStart {
  requestId: string
  caller: Caller
  model: CatalogEntry
  surface: CallSurface
  /** The id that was asked for. */
  requestedModel: string
  metadata: PublicRequestMetadata | null
  /** The routes that it may take. */
  routes: readonly Route[]
  /** The most it may cost by the price card. */
  worstCaseNanos: Nanos
  /** A closer bound, where the account cannot pay that one. */
  counted?: CountedBound | undefined
  streamed: boolean
  replayOf?: string | undefined
  /** Told the figures of the call when it ends. */
  annotate(facts: CallFacts): void
}

/** A bound of a call's cost that is dear to find, since a tokenizer runs. */
export interface CountedBound {
  /** It is hardly less: whoever cannot pay this much is refused without counting. */
  leastNanos: Nanos
  /** Undefined where it cannot be counted. */
  count(): Nanos | undefined
}

/** What a call has used, and its price where that is not by tokens. */
export interface CallResult {
  usage: TokenUsage
  source: UsageSource
  costNanos?: Nanos
  /** What the project's content policy keeps of it. */
  content?: KeptContent | undefined
}

/** The error of a call whose process ended without a word. */
const PROCESS_LOST = 'process_lost'

export const NOTHING_USED: CallResult = { usage: { input: 0, output: 0 }, source: 'none' }

/**
 * One model call from admission to its record, on any surface. Ending it records and bills it; a second end changes
 * nothing.
 */
export class ModelCall {
  readonly createdAt = new Date()
  readonly start: CallStart
  isFromCache = false
  /** About what it has delivered since a route answered; nothing unless told. */
  delivered: () => CallResult = () => NOTHING_USED
  private readonly startedAtMs = performance.now()
  private route: Route | undefined
  private fallbackCount = 0
  private firstTokenMs: number | null = null
  private ended = false
  private readonly deps: CallDeps
  private readonly reservation: Reservation

  constructor(deps: CallDeps, start: CallStart, reservation: Reservation) {
    this.deps = deps
    this.start = start
    this.reservation = reservation
    deps.openCalls.add(this)
  }

  get isAnswered(): boolean {
    return this.route !== undefined
  }

  get hasEnded(): boolean {
    return this.ended
  }

  answeredBy(route: Route, fallbackCount: number): void {
    this.route = route
    this.fallbackCount = fallbackCount
  }

  sawFirstToken(): void {
    this.firstTokenMs ??= this.elapsedMs()
  }

  /** Gives back what it reserved, where it ends before an upstream was asked: nothing is recorded. */
  release(): void {
    this.ended = true
    this.deps.openCalls.remove(this)
    this.reservation.settle(0n)
  }

  /** Ends it as completed, durably. Errors: whatever kept it from being recorded. */
  async complete(result: CallResult): Promise<IpopMetadata> {
    const costNanos = await this.end('completed', null, result).catch((error: unknown) => {
      this.deps.log.error({ requestId: this.start.requestId, err: error }, 'a call could not be recorded')
      throw error
    })
    return this.metadata(usdNumber(costNanos))
  }

  /** Ends it as failed, or as canceled where it was aborted; what was produced is billed. */
  async fail(error: unknown, produced: () => CallResult | Promise<CallResult> = () => NOTHING_USED): Promise<void> {
    if (this.ended) return
    this.ended = true
    const aborted = isAborted(error)
    if (!(error instanceof UpstreamFailure) && !(error instanceof DomainError))
      this.deps.log.error({ requestId: this.start.requestId, err: error }, 'a call failed for a reason of ours')
    try {
      await this.end(aborted ? 'canceled' : 'failed', aborted ? abortCode(error) : codeOf(error), await produced())
    } catch (recordError) {
      this.deps.log.error({ requestId: this.start.requestId, err: recordError }, 'a failed call could not be recorded')
    }
  }

  private async end(status: CallStatus, errorCode: string | null, result: CallResult): Promise<Nanos> {
    this.ended = true
    const { usage } = result
    const { model } = this.start
    const costNanos = this.costOf(result)
    this.start.annotate({
      model: model.id,
      tokensIn: usage.input,
      tokensOut: usage.output,
      costUsd: usdNumber(costNanos),
    })
    try {
      await this.deps.recordCall(this.record(status, errorCode, costNanos, result), this.reservation)
    } finally {
      // One whose recording failed may have been charged all the same.
      this.reservation.settle(costNanos)
      this.deps.openCalls.remove(this)
    }
    return costNanos
  }

  /** What is recorded of it where its process is lost: it failed, and what it had delivered is billed. */
  ifLost(): CallRecord {
    const result = this.isAnswered ? this.delivered() : NOTHING_USED
    const cost = this.costOf(result)
    const costNanos = cost < this.start.worstCaseNanos ? cost : this.start.worstCaseNanos
    return { ...this.record('failed', PROCESS_LOST, costNanos, result), metadata: null, content: undefined }
  }

  private record(status: CallStatus, errorCode: string | null, costNanos: Nanos, result: CallResult): CallRecord {
    const { caller, model, requestId } = this.start
    const answered = answeredFields(this.route)
    return {
      id: requestId,
      owner: caller.owner,
      keyId: caller.keyId,
      surface: this.start.surface,
      resourceId: null,
      model: model.id,
      requestedModel: this.start.requestedModel,
      metadata: this.start.metadata,
      replayOf: this.start.replayOf ?? null,
      upstream: answered.upstream,
      upstreamModel: answered.upstreamModel,
      providerBilled: answered.providerBilled,
      credentialId: answered.credentialId,
      status,
      errorCode,
      streamed: this.start.streamed,
      usage: result.usage,
      usageSource: result.source,
      costNanos,
      cacheHit: this.isFromCache,
      fallbackCount: this.fallbackCount,
      durationMs: this.elapsedMs(),
      firstTokenMs: this.firstTokenMs,
      createdAt: this.createdAt,
      content: result.content,
    }
  }

  /** What the caller's own key or the cache paid for costs no credit. */
  private costOf({ costNanos, usage }: CallResult): Nanos {
    if (this.isFromCache || this.route?.credentialId !== undefined) return 0n
    return costNanos ?? priceOfCall(this.start.model.price, usage, 'standard')
  }

  private metadata(costUsd: number): IpopMetadata {
    return {
      request_id: this.start.requestId,
      latency_ms: this.elapsedMs(),
      cost_usd: costUsd,
      cache_hit: this.isFromCache,
      fallback_used: this.fallbackCount > 0,
      fallback_count: this.fallbackCount,
      route_class: this.routeClass(),
      ...(this.start.metadata?.include_route_metadata === true ? this.routeMetadata() : {}),
    }
  }

  private routeClass(): NonNullable<IpopMetadata['route_class']> {
    if (this.isFromCache) return 'cache'
    return this.route?.upstream.external === true ? 'external_capacity' : 'ipop_network'
  }

  private routeMetadata(): Partial<IpopMetadata> {
    const [primary] = this.start.routes
    return {
      estimated_cost_usd: usdNumber(this.start.worstCaseNanos),
      primary_route_attempted: this.route !== undefined,
      ...(primary === undefined ? {} : { primary_route_model: primary.model }),
      ...(this.firstTokenMs === null || this.fallbackCount > 0 ? {} : { primary_first_progress_ms: this.firstTokenMs }),
      ...(this.route?.upstream.region === undefined ? {} : { region: this.route.upstream.region }),
    }
  }

  private elapsedMs(): number {
    return Math.round(performance.now() - this.startedAtMs)
  }
}

/** Where we ended it ourselves, why: its key has ended. Else its client went away. */
const abortCode = ({ cause }: UpstreamFailure): string =>
  cause instanceof DomainError ? (cause.type ?? cause.code) : 'client_closed'

function codeOf(error: unknown): string {
  if (error instanceof DomainError) return error.type ?? error.code
  return error instanceof UpstreamFailure ? `upstream_${error.kind}` : 'internal_error'
}
