import type { Log } from '../../../infra/log.ts'
import { isAborted, UpstreamFailure } from '../../../infra/upstreams/upstream.ts'
import type { ProviderRoute } from '../catalog/catalog.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { Rates } from '../catalog/pricing.rules.ts'
import type { IpopMetadata } from '../metadata/reply-metadata.schema.ts'
import type { PublicRequestMetadata } from '../metadata/metadata.schema.ts'
import { DomainError } from '../../core/errors.ts'
import type { Balances, Reservation } from '../../money/leases/balances.ts'
import { usdNumber, type Nanos } from '../../money/ledger/money.rules.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { callRecord } from './call-record.rules.ts'
import { NOTHING_USED, type CallRecord, type CallResult, type CallStatus } from './call.rules.ts'
import type { CallSurface } from '../../money/usage/surface.rules.ts'
import type { CostBounds } from './cost-bounds.ts'
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
export interface CallStart extends CostBounds {
  requestId: string
  caller: Caller
  model: CatalogEntry
  surface: CallSurface
  /** The id that was asked for. */
  requestedModel: string
  metadata: PublicRequestMetadata | null
  /** The routes that it may take. */
  routes: readonly ProviderRoute[]
  /** What its tokens cost. */
  rates: Rates
  streamed: boolean
  replayOf?: string | undefined
  /** Told the figures of the call when it ends. */
  annotate(facts: CallFacts): void
}

/** The error of a call whose process ended without a word. */
const PROCESS_LOST = 'process_lost'

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
  private route: ProviderRoute | undefined
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

  answeredBy(route: ProviderRoute, fallbackCount: number): void {
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
    const record = this.record(status, errorCode, result)
    const { model, usage, costNanos } = record
    this.start.annotate({ model, tokensIn: usage.input, tokensOut: usage.output, costUsd: usdNumber(costNanos) })
    try {
      await this.deps.recordCall(record, this.reservation)
    } finally {
      // One whose recording failed may have been charged all the same.
      this.reservation.settle(costNanos)
      this.deps.openCalls.remove(this)
    }
    return costNanos
  }

  /** What is recorded of it where its process is lost: it failed, and what it had delivered is billed. */
  ifLost(): CallRecord {
    const record = this.record('failed', PROCESS_LOST, this.isAnswered ? this.delivered() : NOTHING_USED)
    const { worstCaseNanos } = this.start
    const costNanos = record.costNanos < worstCaseNanos ? record.costNanos : worstCaseNanos
    return { ...record, costNanos, metadata: null, content: undefined }
  }

  private record(status: CallStatus, errorCode: string | null, result: CallResult): CallRecord {
    const { caller, model, requestId, surface, requestedModel, metadata, replayOf, streamed, rates } = this.start
    const { owner, keyId } = caller
    const { createdAt } = this
    return callRecord(
      {
        id: requestId,
        owner,
        keyId,
        surface,
        model: model.id,
        requestedModel,
        metadata,
        replayOf,
        streamed,
        createdAt,
      },
      {
        status,
        errorCode,
        answer: this.route,
        fallbackCount: this.fallbackCount,
        cacheHit: this.isFromCache,
        result,
        price: { rates, tier: 'standard' },
        durationMs: this.elapsedMs(),
        firstTokenMs: this.firstTokenMs,
      },
    )
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
