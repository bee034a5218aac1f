import type { Outbound } from '../../../infra/outbound/outbound.ts'
import { usageOf } from '../../../infra/upstreams/normal/usage.ts'
import { UpstreamFailure, type UpstreamJson } from '../../../infra/upstreams/upstream.ts'
import type { CallResult } from '../calls/call.rules.ts'
import type { TokenUsage } from '../tokens/token-usage.rules.ts'
import { admitCall } from '../calls/admission.ts'
import type { CallDeps, CallFacts, ModelCall } from '../calls/model-call.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { requireCapability, requireUsableModel } from '../catalog/model-access.rules.ts'
import { mostPriceOf, ratesOf, usualPriceOf, type UnitPrice } from '../catalog/pricing.rules.ts'
import { boundedCost, reportedCost } from '../catalog/provider-cost.ts'
import { metadataIfSteering } from '../metadata/metadata.rules.ts'
import { isSandboxReply } from '../chat/reply.rules.ts'
import { usageView } from '../tokens/usage.rules.ts'
import { DomainError, serviceUnavailable } from '../../core/errors.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'
import { callPolicyOf } from '../provider-routes/call-policy.rules.ts'
import { planRoutes } from '../provider-routes/route-plan.ts'
import { callForJson, type Routed, type RoutedCall, type RoutingDeps } from '../provider-routes/routing.service.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { chatBodyOf, dataUrlOf, drawnBy, type Picture } from './image.rules.ts'
import { DEFAULT_IMAGE_MODEL, type ImageGenerationRequest, type ImageGenerationResponse } from './image.schema.ts'
import { pictureOf } from './picture.ts'
import { referencesOf } from './references.ts'

export interface ImageDeps extends RoutingDeps, CallDeps {
  outbound: Outbound
}

export interface ImageCall {
  requestId: string
  caller: Caller
  request: ImageGenerationRequest
  /** Aborts when the client goes away. */
  signal: AbortSignal
  /** Told the figures of the call when it ends. */
  annotate(facts: CallFacts): void
}

const RETRY_SECONDS = 5
const PICTURE_LIMIT_BYTES = 40 * 1024 * 1024
const PICTURE_TIMEOUT_MS = 60_000

/** A picture and what it cost; `json` is the reply that held it. */
interface Drawn extends Routed<UpstreamJson> {
  picture: Picture
  text: string | undefined
  costNanos: Nanos
  usage: TokenUsage
}

/**
 * Draws pictures, each by a chat of its own, in one record and one charge. Where some fail, those that came are given
 * and paid. Errors: 400, 402, 403, 404, 409, 429, 503; UpstreamFailure `aborted` where the client went away.
 */
export async function generateImages(
  deps: ImageDeps,
  images: ImageCall,
): Promise<{ reply: ImageGenerationResponse; sandbox: boolean }> {
  const { call, routed } = await admit(deps, images)
  try {
    const drawings = await Promise.allSettled(Array.from({ length: images.request.n ?? 1 }, () => draw(deps, routed)))
    const drawn = drawings.flatMap(drawing => (drawing.status === 'fulfilled' ? [drawing.value] : []))
    const [first] = drawn
    if (first === undefined) throw (drawings[0] as PromiseRejectedResult).reason
    call.answeredBy(first.route, Math.max(...drawn.map(one => one.fallbackCount)))
    const result = resultOf(drawn)
    const ipop = await call.complete(result)
    return {
      reply: {
        created: Math.floor(call.createdAt.getTime() / 1000),
        data: drawn.map(one => imageView(one, images.request.response_format ?? 'url')),
        usage: { ...usageView(result.usage), images: drawn.length, cost_usd: ipop.cost_usd },
        ipop,
      } as ImageGenerationResponse,
      sandbox: isSandboxReply(first.headers),
    }
  } catch (error) {
    await call.fail(error)
    throw error
  }
}

/** Everything that is checked and fetched before an upstream is asked. */
async function admit(deps: ImageDeps, images: ImageCall): Promise<{ call: ModelCall; routed: RoutedCall }> {
  const { requestId, caller, request, signal } = images
  const { owner } = caller
  const requestedModel = request.model ?? DEFAULT_IMAGE_MODEL
  const model = requireUsableModel(deps.catalog, requestedModel, caller.rules)
  requireCapability(model, 'images', 'model')
  const metadata = metadataIfSteering(request['metadata'])
  const policy = callPolicyOf(metadata, caller.rules)
  const routes = await planRoutes(deps, { owner, model, policy })
  const body = chatBodyOf(request, model, await referencesOf(deps.outbound, request, signal))
  const call = await admitCall(deps, {
    requestId,
    caller,
    model,
    surface: 'images',
    requestedModel,
    metadata: metadata ?? null,
    routes,
    rates: ratesOf(model.price),
    worstCaseNanos: mostPriceOf(priceOfImage(model)) * BigInt(request.n ?? 1),
    streamed: false,
    annotate: facts => images.annotate(facts),
  })
  const path = '/chat/completions'
  return { call, routed: { requestId, owner, model, policy, routes: call.start.routes, path, body, signal } }
}

const priceOfImage = ({ price }: CatalogEntry): UnitPrice => ({ usualUsd: price.image, mostUsd: price.image_most })

function costOf({ log }: ImageDeps, { requestId: id, model }: RoutedCall, reply: Record<string, unknown>): Nanos {
  const price = priceOfImage(model)
  const costNanos = reportedCost(reply) ?? usualPriceOf(price)
  return boundedCost(log, { costNanos, reservedNanos: mostPriceOf(price) }, { id, model: model.id })
}

async function draw(deps: ImageDeps, routed: RoutedCall): Promise<Drawn> {
  const answer = await callForJson(deps, routed)
  const { urls, text, isFiltered } = drawnBy(answer.json)
  const [url] = urls
  if (url === undefined) throw isFiltered ? filtered() : nothingDrawn('no picture in the reply')
  return {
    ...answer,
    text,
    picture: await pictureAt(deps.outbound, url, routed.signal),
    costNanos: costOf(deps, routed, answer.json),
    usage: usageOf(answer.json['usage']) ?? { input: 0, output: 0 },
  }
}

/** Most providers give the picture itself, some an address of it. */
async function pictureAt(outbound: Outbound, url: string, signal: AbortSignal): Promise<Picture> {
  const given = await pictureOf(url)
  if (given !== undefined) return given
  try {
    const options = { limitBytes: PICTURE_LIMIT_BYTES, timeoutMs: PICTURE_TIMEOUT_MS, signal, accept: ['image/*'] }
    const { bytes, mediaType } = await outbound.fetchBytes(url, options)
    if (bytes.length > 0) return { mediaType, base64: bytes.toString('base64') }
  } catch (error) {
    throw signal.aborted ? error : nothingDrawn('the picture could not be fetched', error)
  }
  throw nothingDrawn('the picture is empty')
}

const filtered = (): DomainError =>
  new DomainError(400, 'policy_violation', 'The provider refused to draw this prompt.', {
    type: 'content_filter',
    param: 'prompt',
  })

const nothingDrawn = (why: string, cause?: unknown): DomainError =>
  serviceUnavailable('The model gave no picture.', RETRY_SECONDS, new UpstreamFailure('unavailable', why, { cause }))

function resultOf(drawn: readonly Drawn[]): CallResult & { costNanos: Nanos } {
  const sum = (of: (one: Drawn) => number) => drawn.reduce((total, one) => total + of(one), 0)
  return {
    usage: { input: sum(one => one.usage.input), output: sum(one => one.usage.output) },
    source: 'upstream',
    costNanos: drawn.reduce((total, one) => total + one.costNanos, 0n),
  }
}

const imageView = ({ picture, text }: Drawn, format: 'url' | 'b64_json'): ImageGenerationResponse['data'][number] => ({
  ...(format === 'url' ? { url: dataUrlOf(picture) } : { b64_json: picture.base64 }),
  mime_type: picture.mediaType,
  ...(text === undefined ? {} : { revised_prompt: text }),
})
