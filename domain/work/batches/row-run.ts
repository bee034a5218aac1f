import { setTimeout as delay } from 'node:timers/promises'
import { writtenJson } from '../../inference/threads/stored-json.ts'
import { textOfReply } from '../../../infra/upstreams/normal/reply.ts'
import { embeddingsUsageOf, usageOf as reportedUsageOf } from '../../../infra/upstreams/normal/usage.ts'
import { callRecord } from '../../inference/calls/call-record.rules.ts'
import type { CallRecord, CallResult } from '../../inference/calls/call.rules.ts'
import { ratesOf, type Rates } from '../../inference/catalog/pricing.rules.ts'
import type { PublicRequestMetadata } from '../../inference/metadata/metadata.schema.ts'
import { ChatMeter } from '../../inference/chat/chat-call.ts'
import type { ChatCompletionRequest } from '../../inference/chat-request/chat.schema.ts'
import { sizesOfLarge } from '../../inference/chat/sent-chat.ts'
import { completionView } from '../../inference/chat/reply.rules.ts'
import { usageView } from '../../inference/tokens/usage.rules.ts'
import {
  embeddingsView,
  estimatedEmbeddingTokens,
  passedEmbeddingFields,
} from '../../inference/embeddings/embeddings.rules.ts'
import { DomainError } from '../../core/errors.ts'
import { usdNumber } from '../../money/ledger/money.rules.ts'
import {
  BACKGROUND_PRIORITY,
  callPolicyOf,
  type CallPolicy,
} from '../../inference/provider-routes/call-policy.rules.ts'
import type { Pauses } from '../../inference/provider-routes/pauses.ts'
import { planRoutes } from '../../inference/provider-routes/route-plan.ts'
import {
  callForJson,
  UPSTREAM_UNREACHABLE,
  type RoutedCall,
  type RoutingDeps,
} from '../../inference/provider-routes/routing.service.ts'
import type { TaskOwner, ThreadDeps } from '../../inference/threads/thread-work.ts'
import { outputLine } from './batch.rules.ts'
import type { BatchRow } from './batch.sql.ts'
import { readLine } from './row-line.ts'
import { parseRow, sentRow, type ParsedRow } from './row.rules.ts'

export interface RowRunDeps extends RoutingDeps, ThreadDeps {
  pauses: Pauses
}

/** A row as its chunk took it. */
export interface TakenRow {
  requestId: string
  line: Buffer
}

/** Waits without holding a slot that another row could use. Rejects where the row must not go on after it. */
export type WithoutSlot = (wait: () => Promise<void>) => Promise<void>

/** Answers that an upstream failed with; an upstream that does not answer at all is waited for. */
const MOST_TRIES = 5
const OUTAGE_RETRY_MS = 2 * 60_000
const FIRST_RETRY_MS = 500
const LONGEST_RETRY_MS = 5_000
const DEFAULT_PAUSE_SECONDS = 5
/** Also where the model says that it may be asked at once: it would be asked without end. */
const SHORTEST_PAUSE_SECONDS = 1

/**
 * Runs one row to its end: transient failures are tried again, an upstream that is away is waited for a while, and
 * a model at its limit until the batch's deadline. Errors: DomainError where the row has failed; the signal's reason where it was stopped.
 */
export async function runRow(
  deps: RowRunDeps,
  batch: BatchRow,
  row: TakenRow,
  signal: AbortSignal,
  withoutSlot: WithoutSlot,
): Promise<{ line: string; call: CallRecord }> {
  const context = { catalog: deps.catalog, endpoint: batch.endpoint, rules: batch.key_rules }
  const taskOwner = { tenant: batch.user_id, signal }
  const parsed = parseRow(await readLine(deps, taskOwner, row.line), context)
  const startedAt = new Date()
  const sent = await sentCallOf(deps, taskOwner, batch, parsed)
  const routed = await routedCall(deps, batch, parsed, sent, row.requestId, signal)
  const answer = await callWithRetries(deps, routed, withoutSlot)
  const call = await recordOfRow(deps, batch, parsed, sent.rates, row.requestId, startedAt, answer)
  const line = outputLine(row.requestId, parsed.customId, replyBody(batch, parsed, call, answer.json))
  const written = writtenJson(deps, taskOwner, line)
  return { line: typeof written === 'string' ? written : textOf(await written), call }
}

const textOf = ({ buffer, byteOffset, byteLength }: Uint8Array): string =>
  Buffer.from(buffer, byteOffset, byteLength).toString()

type Answer = Awaited<ReturnType<typeof callForJson>>

interface SentCall extends Pick<RoutedCall, 'path' | 'body'> {
  rates: Rates
}

/** What leaves, and what its tokens cost. Errors: 400, 503. */
async function sentCallOf(
  deps: RowRunDeps,
  taskOwner: TaskOwner,
  { endpoint }: BatchRow,
  { body, model }: ParsedRow,
): Promise<SentCall> {
  if (endpoint === 'embeddings') {
    const passed = { ...passedEmbeddingFields(body), input: body['input'] }
    return { path: '/embeddings', body: passed, rates: ratesOf(model.price) }
  }
  const sizes = sizesOfLarge(deps, taskOwner, body as ChatCompletionRequest)
  const sent = sentRow({ body, model }, sizes === undefined ? undefined : await sizes)
  return { path: '/chat/completions', body: sent.body, rates: sent.rates }
}

async function routedCall(
  deps: RowRunDeps,
  batch: BatchRow,
  { body: asked, model }: ParsedRow,
  { path, body }: SentCall,
  requestId: string,
  signal: AbortSignal,
): Promise<RoutedCall> {
  const owner = { userId: batch.user_id, projectId: batch.project_id }
  // The hold was started for hosted routes.
  const policy: CallPolicy = {
    ...callPolicyOf(metadataOf(asked), batch.key_rules),
    priority: BACKGROUND_PRIORITY,
    ownKeys: 'never',
  }
  const routes = await planRoutes(deps, { owner, model, policy })
  return { requestId, owner, model, policy, routes, signal, path, body }
}

async function recordOfRow(
  deps: RowRunDeps,
  batch: BatchRow,
  parsed: ParsedRow,
  rates: Rates,
  requestId: string,
  createdAt: Date,
  { route, fallbackCount, json }: Answer,
): Promise<CallRecord> {
  const result = await usageOf(deps, batch, parsed, json)
  return callRecord(
    {
      id: requestId,
      owner: { userId: batch.user_id, projectId: batch.project_id },
      keyId: batch.api_key_id,
      surface: 'batch',
      resourceId: batch.id,
      model: parsed.model.id,
      requestedModel: null,
      metadata: metadataOf(parsed.body),
      streamed: false,
      createdAt,
    },
    {
      status: 'completed',
      answer: route,
      fallbackCount,
      result,
      price: { rates, tier: 'batch' },
      durationMs: Date.now() - createdAt.getTime(),
    },
  )
}

/** The closed reply that the row's line holds: what the operation itself would have answered. */
function replyBody(batch: BatchRow, { model }: ParsedRow, call: CallRecord, reply: Record<string, unknown>): object {
  const ipop = {
    request_id: call.id,
    latency_ms: call.durationMs,
    cost_usd: usdNumber(call.costNanos),
    cache_hit: false,
    fallback_used: call.fallbackCount > 0,
    fallback_count: call.fallbackCount,
  }
  if (batch.endpoint === 'embeddings') return { ...embeddingsView(model.id, reply, call.usage.input), ipop }
  const created = Math.floor(call.createdAt.getTime() / 1000)
  return completionView({ id: `chatcmpl-${call.id}`, created, model: model.id }, reply, usageView(call.usage), ipop)
}

async function callWithRetries(deps: RowRunDeps, call: RoutedCall, withoutSlot: WithoutSlot): Promise<Answer> {
  const modelId = call.model.id
  let failedSinceMs: number | undefined
  for (let tries = 1, retryMs = FIRST_RETRY_MS; ;) {
    while (deps.pauses.isPaused(modelId)) await withoutSlot(() => deps.pauses.wait(modelId, call.signal))
    try {
      return await callForJson(deps, call)
    } catch (error) {
      if (!(error instanceof DomainError) || !error.retryable) throw error
      if (error.code === 'rate_limit_exceeded') {
        const seconds = error.retryAfterSeconds ?? DEFAULT_PAUSE_SECONDS
        deps.pauses.pause(modelId, Math.max(SHORTEST_PAUSE_SECONDS, seconds))
        continue
      }
      failedSinceMs ??= Date.now()
      const isUnreachable = error.type === UPSTREAM_UNREACHABLE && Date.now() - failedSinceMs < OUTAGE_RETRY_MS
      if (tries >= MOST_TRIES && !isUnreachable) throw error
      tries += isUnreachable ? 0 : 1
      retryMs = Math.min(retryMs * 2, LONGEST_RETRY_MS)
      await withoutSlot(() => delay(retryMs, undefined, { signal: call.signal }))
    }
  }
}

async function usageOf(
  { threadWork }: RowRunDeps,
  batch: BatchRow,
  { body, model }: ParsedRow,
  reply: Record<string, unknown>,
): Promise<CallResult> {
  const usage = reply['usage']
  if (batch.endpoint === 'embeddings') {
    const reported = embeddingsUsageOf(usage)
    if (reported !== undefined) return { usage: reported, source: 'upstream' }
    return { usage: { input: estimatedEmbeddingTokens(body['input']), output: 0 }, source: 'counted' }
  }
  const meter = new ChatMeter(body as ChatCompletionRequest, model)
  meter.saw({ text: textOfReply(reply), usage: reportedUsageOf(usage) })
  return meter.result(threadWork, { tenant: batch.user_id })
}

const metadataOf = ({ metadata }: Record<string, unknown>): PublicRequestMetadata | null =>
  (metadata as PublicRequestMetadata | null | undefined) ?? null
