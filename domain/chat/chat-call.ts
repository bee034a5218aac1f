import type { Log } from '../../infra/log.ts'
import { countChatTokens } from '../../infra/tokenizer/chat-tokens.ts'
import { countTextTokens } from '../../infra/tokenizer/text-tokens.ts'
import { UpstreamFailure } from '../../infra/upstreams/upstream.ts'
import type { CallStatus, TokenUsage, UsageSource } from '../calls/call.rules.ts'
import type { RecordCall } from '../calls/call.service.ts'
import type { Route } from '../catalog/catalog.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { priceOfCall } from '../catalog/pricing.rules.ts'
import { DomainError } from '../errors.ts'
import type { Reservation } from '../ledger/balances.ts'
import { usdNumber } from '../ledger/money.rules.ts'
import type { Caller } from '../tenancy/tenancy.rules.ts'
import type { ChatCompletionRequest, IpopMetadata } from './chat.schema.ts'
import { textOfChoices, type ReplyHead } from './reply.rules.ts'
import { parseUsage } from './usage.rules.ts'

/** What the access line tells of a call. */
export interface CallFacts {
  model: string
  tokensIn: number
  tokensOut: number
  costUsd: number
}

export interface CallStart {
  requestId: string
  caller: Caller
  model: CatalogEntry
  request: ChatCompletionRequest
  reservation: Reservation
}

interface CallDeps {
  recordCall: RecordCall
  log: Log
  annotate(facts: CallFacts): void
}

type Fields = Record<string, unknown>

/**
 * One chat call from admission to its record: what has come back so far, and the one end it has. Ending it records
 * and bills it; a second end changes nothing.
 */
export class ChatCall {
  readonly head: ReplyHead
  private readonly startedAtMs = performance.now()
  private readonly createdAt = new Date()
  private route: Route | undefined
  private fallbackCount = 0
  private firstTokenMs: number | null = null
  private text = ''
  private reported: TokenUsage | undefined
  private ended = false
  private readonly deps: CallDeps
  private readonly start: CallStart

  constructor(deps: CallDeps, start: CallStart) {
    this.deps = deps
    this.start = start
    this.head = {
      id: `chatcmpl-${start.requestId}`,
      created: Math.floor(this.createdAt.getTime() / 1000),
      model: start.model.id,
    }
  }

  answeredBy(route: Route, fallbackCount: number): void {
    this.route = route
    this.fallbackCount = fallbackCount
  }

  sawReply(reply: Fields): void {
    this.saw(reply, 'message')
  }

  sawChunk(chunk: Fields): void {
    this.saw(chunk, 'delta')
  }

  /** Ends it as completed, durably. Errors: whatever kept it from being recorded. */
  async complete(): Promise<{ usage: TokenUsage; ipop: IpopMetadata }> {
    const { usage, costNanos } = await this.end('completed', null)
    return { usage, ipop: this.metadata(usdNumber(costNanos)) }
  }

  /** Ends it as failed, or as canceled where the client went away; what was produced is billed. */
  async fail(error: unknown): Promise<void> {
    if (this.ended) return
    const aborted = error instanceof UpstreamFailure && error.kind === 'aborted'
    try {
      await this.end(aborted ? 'canceled' : 'failed', aborted ? 'client_closed' : codeOf(error))
    } catch (recordError) {
      this.deps.log.error({ requestId: this.start.requestId, err: recordError }, 'a failed call could not be recorded')
    }
  }

  private saw(body: Fields, content: 'message' | 'delta'): void {
    const text = textOfChoices(body, content)
    if (text !== '' && this.firstTokenMs === null) this.firstTokenMs = this.elapsedMs()
    this.text += text
    this.reported = parseUsage(body['usage']) ?? this.reported
  }

  private async end(status: CallStatus, errorCode: string | null) {
    this.ended = true
    const { usage, source } = this.usage()
    const costNanos = priceOfCall(this.start.model.price, usage, 'standard')
    const { caller, model, request, requestId, reservation } = this.start
    this.deps.annotate({
      model: model.id,
      tokensIn: usage.input,
      tokensOut: usage.output,
      costUsd: usdNumber(costNanos),
    })
    await this.deps.recordCall(
      {
        id: requestId,
        owner: caller.owner,
        keyId: caller.keyId,
        surface: 'chat',
        resourceId: null,
        model: model.id,
        upstream: this.route?.upstream.id ?? null,
        upstreamModel: this.route?.model ?? null,
        status,
        errorCode,
        streamed: request.stream === true,
        usage,
        usageSource: source,
        costNanos,
        providerBilled: false,
        fallbackCount: this.fallbackCount,
        durationMs: this.elapsedMs(),
        firstTokenMs: this.firstTokenMs,
        createdAt: this.createdAt,
      },
      reservation,
    )
    return { usage, costNanos }
  }

  /** The upstream's figures, else counted from what came; nothing where no upstream answered. */
  private usage(): { usage: TokenUsage; source: UsageSource } {
    if (this.reported !== undefined) return { usage: this.reported, source: 'upstream' }
    if (this.route === undefined) return { usage: { input: 0, output: 0 }, source: 'none' }
    const { request, model } = this.start
    const encoding = model.tokenizer ?? 'o200k_base'
    const usage = {
      input: countChatTokens(request.messages, request.tools ?? [], encoding),
      output: countTextTokens(this.text, encoding),
    }
    return { usage, source: 'counted' }
  }

  private metadata(costUsd: number): IpopMetadata {
    return {
      request_id: this.start.requestId,
      latency_ms: this.elapsedMs(),
      cost_usd: costUsd,
      cache_hit: false,
      fallback_used: this.fallbackCount > 0,
      fallback_count: this.fallbackCount,
      route_class: this.route?.upstream.external === true ? 'external_capacity' : 'ipop_network',
    }
  }

  private elapsedMs(): number {
    return Math.round(performance.now() - this.startedAtMs)
  }
}

function codeOf(error: unknown): string {
  if (error instanceof DomainError) return error.type ?? error.code
  return error instanceof UpstreamFailure ? `upstream_${error.kind}` : 'internal_error'
}
