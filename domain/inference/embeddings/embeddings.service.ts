import { embeddingsUsageOf } from '../../../infra/upstreams/normal/usage.ts'
import { linkedAbort } from '../../../infra/abort.ts'
import { UpstreamFailure } from '../../../infra/upstreams/upstream.ts'
import type { CallResult } from '../calls/call.rules.ts'
import { admitCall } from '../calls/admission.ts'
import type { CallDeps, CallFacts, ModelCall } from '../calls/model-call.ts'
import { requireUsableModel } from '../catalog/model-access.rules.ts'
import { priceOfCall, ratesOf } from '../catalog/pricing.rules.ts'
import { usageView } from '../tokens/usage.rules.ts'
import { isSandboxReply } from '../chat/reply.rules.ts'
import { serviceUnavailable } from '../../core/errors.ts'
import { callPolicyOf } from '../provider-routes/call-policy.rules.ts'
import { planRoutes } from '../provider-routes/route-plan.ts'
import { callForJson, type RoutedCall, type RoutingDeps } from '../provider-routes/routing.service.ts'
import type { ThreadDeps } from '../threads/thread-work.ts'
import type { Caller } from '../../core/caller.rules.ts'
import {
  mostEmbeddingTokens,
  passedEmbeddingFields,
  itemsOf,
  partsOf,
  requireEmbeddingsRequest,
  vectorsOf,
  type EmbeddingFormat,
} from './embeddings.rules.ts'
import type { EmbeddingsRequest, EmbeddingsResponse } from './embeddings.schema.ts'

export interface EmbeddingsDeps extends RoutingDeps, CallDeps, ThreadDeps {}

export interface EmbeddingsCall {
  requestId: string
  caller: Caller
  request: EmbeddingsRequest
  /** Aborts when the client goes away. */
  signal: AbortSignal
  /** Told the figures of the call when it ends. */
  annotate(facts: CallFacts): void
}

const PARTS_AT_ONCE = 4
/** More than the largest body holds. */
const MOST_TOKENS = 100_000_000
const RETRY_SECONDS = 5

/**
 * Embeds the inputs, in parts as the upstream takes them; one record and one charge for the whole.
 * Errors: 400, 402, 403, 404, 409, 429, 503; UpstreamFailure `aborted` where the client went away.
 */
export async function createEmbeddings(
  deps: EmbeddingsDeps,
  embeddings: EmbeddingsCall,
): Promise<{ reply: EmbeddingsResponse; sandbox: boolean }> {
  const { call, routed } = await admit(deps, embeddings)
  const { request } = embeddings
  const attemptAbort = linkedAbort(embeddings.signal)
  try {
    const parts = partsOf(itemsOf(request.input), call.start.model)
    const answers = await inLanes(parts, part =>
      embedPart(deps, { ...routed, signal: attemptAbort.signal }, part, formatOf(request)),
    )
    const [first] = answers
    if (first === undefined) throw new Error('a request without inputs was admitted')
    call.answeredBy(first.route, Math.max(...answers.map(answer => answer.fallbackCount)))
    const result = await resultOf(deps, embeddings.caller.owner.userId, request, answers)
    const ipop = await call.complete(result)
    const vectors = answers.flatMap(answer => answer.vectors)
    return {
      reply: { ...replyOf(call, vectors), usage: usageView(result.usage), ipop },
      sandbox: isSandboxReply(first.headers),
    }
  } catch (error) {
    // The parts that are still under way are for nobody.
    attemptAbort.abort(error)
    await call.fail(error)
    throw error
  } finally {
    attemptAbort.release()
  }
}

const replyOf = ({ start, createdAt }: ModelCall, vectors: readonly unknown[]) => ({
  id: `embd-${start.requestId}`,
  object: 'list',
  created: Math.floor(createdAt.getTime() / 1000),
  model: start.model.id,
  data: vectors.map((embedding, index) => ({ object: 'embedding', index, embedding })),
})

/** Everything that is checked before an upstream is asked. */
async function admit(
  deps: EmbeddingsDeps,
  embeddings: EmbeddingsCall,
): Promise<{ call: ModelCall; routed: RoutedCall }> {
  const { requestId, caller, request, signal } = embeddings
  const { owner } = caller
  const model = requireUsableModel(deps.catalog, request.model, caller.rules)
  requireEmbeddingsRequest(request, model)
  const policy = callPolicyOf(request.metadata, caller.rules)
  const rates = ratesOf(model.price)
  const worstCase = { input: mostEmbeddingTokens(request.input, model), output: 0 }
  const call = await admitCall(deps, {
    requestId,
    caller,
    model,
    surface: 'embeddings',
    requestedModel: request.model,
    metadata: request.metadata ?? null,
    routes: await planRoutes(deps, { owner, model, policy }),
    rates,
    worstCaseNanos: priceOfCall(rates, worstCase, 'standard'),
    streamed: false,
    annotate: facts => embeddings.annotate(facts),
  })
  const { routes } = call.start
  const body = passedEmbeddingFields(request)
  return { call, routed: { requestId, owner, model, policy, routes, path: '/embeddings', body, signal } }
}

const formatOf = (request: EmbeddingsRequest): EmbeddingFormat => request.encoding_format ?? 'float'

type Part = Parameters<typeof partsOf>[0]

async function embedPart(deps: EmbeddingsDeps, call: RoutedCall, part: Part, format: EmbeddingFormat) {
  const answer = await callForJson(deps, { ...call, body: { ...call.body, input: part } })
  const vectors = vectorsOf(answer.json, part.length, format)
  if (vectors === undefined) {
    throw serviceUnavailable(
      'The model gave no whole reply.',
      RETRY_SECONDS,
      new UpstreamFailure('unavailable', 'vectors are missing'),
    )
  }
  return { ...answer, vectors, usage: embeddingsUsageOf(answer.json['usage']) }
}

/** The upstream's figures where every part has some, else counted. */
async function resultOf(
  { threadWork }: EmbeddingsDeps,
  tenant: string,
  request: EmbeddingsRequest,
  answers: readonly { usage: CallResult['usage'] | undefined }[],
): Promise<CallResult> {
  const reported = answers.flatMap(answer => answer.usage?.input ?? [])
  if (reported.length === answers.length) {
    return { usage: { input: reported.reduce((sum, tokens) => sum + tokens, 0), output: 0 }, source: 'upstream' }
  }
  const items = itemsOf(request.input)
  const texts = items.filter(item => typeof item === 'string')
  const given = items.reduce((sum, item) => sum + (typeof item === 'string' ? 0 : item.length), 0)
  const { tokens } = await threadWork.countTexts({ tenant }, { most: MOST_TOKENS, texts, encoding: 'cl100k_base' })
  return { usage: { input: given + tokens, output: 0 }, source: 'counted' }
}

/** A few at once; the results are in the order of the items. */
async function inLanes<Item, Result>(items: readonly Item[], run: (item: Item) => Promise<Result>): Promise<Result[]> {
  const results: Result[] = []
  let next = 0
  const lane = async () => {
    for (let index = next++; index < items.length; index = next++) results[index] = await run(items[index] as Item)
  }
  await Promise.all(Array.from({ length: Math.min(PARTS_AT_ONCE, items.length) }, lane))
  return results
}
