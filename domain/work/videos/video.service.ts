import type { Readable } from 'node:stream'
import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import type { ByteRange, ObjectStore } from '../../../infra/objects/store.ts'
import { OPERATION_LINK, signLink, type LinkTarget, type SigningKeys } from '../../../infra/crypto/links.ts'
import type { Catalog } from '../../inference/catalog/catalog.ts'
import { requireCapability, requireUsableModel } from '../../inference/catalog/model-access.rules.ts'
import { mostPriceOf } from '../../inference/catalog/pricing.rules.ts'
import { metadataIfSteering } from '../../inference/metadata/metadata.rules.ts'
import { badRequest, conflict, DomainError, notFound, paymentRequired } from '../../core/errors.ts'
import { createOnce, type Repeatable } from '../../tenancy/idempotency/create-once.ts'
import { isId, newId, uuidOf } from '../../core/ids.ts'
import { startJob } from '../../durable/jobs/jobs.service.ts'
import { requireHold } from '../../money/ledger/ledger.service.ts'
import { withHold } from '../../money/leases/leases.ts'
import { usdNumber, usdText, type Nanos } from '../../money/ledger/money.rules.ts'
import { callPolicyOf } from '../../inference/provider-routes/call-policy.rules.ts'
import { planRoutes, type PlanDeps } from '../../inference/provider-routes/route-plan.ts'
import { asObjectFailure } from '../../tenancy/storage/object-failures.ts'
import type { RequireStorage } from '../../tenancy/storage/storage.service.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { requireEnabledUser } from '../../tenancy/users/user.service.ts'
import { writtenJson } from '../../inference/threads/stored-json.ts'
import type { ThreadDeps } from '../../inference/threads/thread-work.ts'
import { isStorable } from '../../core/text.rules.ts'
import {
  VIDEO_JOBS,
  priceOfSecond,
  providerRequest,
  requireReferences,
  secondsOf,
  type VideoInput,
} from './video.rules.ts'
import { DEFAULT_VIDEO_MODEL, type VideoGenerationJob, type VideoGenerationRequest } from './video.schema.ts'
import { insertVideo, selectVideo, selectVideoById, type StoredContent, type VideoRow } from './video.sql.ts'

export interface VideoDeps extends PlanDeps, ThreadDeps {
  db: Database
  catalog: Catalog
  requireStorage: RequireStorage
}

/** What links are made with. */
interface Links {
  publicUrl: string
  signingKeys: SigningKeys
}

/**
 * Makes a job and answers at once: its workflow asks the provider. With an idempotency key that was used before, the
 * same job again. Errors: 400, 402 without the credit that is held for it, 403, 404, 409.
 */
export async function createVideo(
  deps: VideoDeps,
  caller: Caller,
  asked: VideoGenerationRequest,
  repeatable: Repeatable,
): Promise<VideoGenerationJob> {
  const askedModel = asked.model ?? DEFAULT_VIDEO_MODEL
  const { model, metadata, heldNanos } = await admit(deps, caller, askedModel, asked)
  const requestJson = await writtenJson(deps, { tenant: caller.owner.userId }, providerRequest(asked))
  const videoId = newId('video')
  const make = async (tx: Transaction) => {
    await requireEnabledUser(tx, caller.owner.userId)
    await startJob(tx, VIDEO_JOBS, {
      resourceId: videoId,
      owner: caller.owner,
      input: { videoId, model: model.id } satisfies VideoInput,
      summary: `video of ${model.id}`,
      fileIds: [],
    })
    const video = await insertVideo(tx, {
      id: videoId,
      caller,
      model: model.id,
      askedModel,
      requestJson,
      metadata,
      heldNanos,
    })
    tx.atCommit(() => requireHold(tx, { resourceId: videoId, run: 1 }, caller.owner, heldNanos, notCovered(heldNanos)))
    return video
  }
  const start = async (tx: Transaction) => {
    const again = (earlier: string) => requireVideo({ db: tx }, caller, earlier)
    return view(await createOnce(tx, caller.owner, repeatable, { id: videoId, make: () => make(tx), again }), undefined)
  }
  return withHold(deps.db, caller.owner.userId, () => inTransaction(deps.db, start))
}

/** All that is refused before a job exists. */
async function admit(deps: VideoDeps, caller: Caller, askedModel: string, asked: VideoGenerationRequest) {
  const model = requireUsableModel(deps.catalog, askedModel, caller.rules)
  requireCapability(model, 'videos', 'model')
  requireReferences(asked)
  if (!isStorable(asked)) throw badRequest('The request holds a NUL or an unpaired surrogate.', 'prompt')
  const metadata = metadataIfSteering(asked['metadata']) ?? null
  const policy = callPolicyOf(metadata ?? undefined, caller.rules)
  await Promise.all([
    planRoutes(deps, { owner: caller.owner, model, policy }),
    deps.requireStorage(caller.owner.userId),
  ])
  const heldNanos = mostPriceOf(priceOfSecond(model)) * BigInt(secondsOf(asked))
  return { model, metadata, heldNanos }
}

const notCovered = (held: Nanos) => (available: Nanos) =>
  paymentRequired(
    `payment_required: ${usdText(held)} USD are held for this video and ${usdText(available > 0n ? available : 0n)} USD ` +
      'are free. Add credit, or ask for a shorter one.',
  )

/** Errors: 404. */
export const getVideo = async (
  deps: { db: Database },
  links: Links,
  caller: Caller,
  videoId: string,
): Promise<VideoGenerationJob> => view(await requireVideo(deps, caller, videoId), links)

async function requireVideo(
  { db }: { db: Parameters<typeof selectVideo>[0] },
  caller: Caller,
  videoId: string,
): Promise<VideoRow> {
  const video = isId('video', videoId) ? await selectVideo(db, caller.owner, videoId) : undefined
  if (video === undefined) throw notFound('video', 'job_id')
  return video
}

/**
 * A video whose bytes are read when they are asked for, for its owner or for whoever came by a signed link to it.
 * Errors: 404; 409 while it is being made; 410 past its retention; of `read`, 404 where the bytes are gone.
 */
export async function openVideo(
  deps: { db: Database; objects: ObjectStore },
  reader: Caller | 'link',
  videoId: string,
): Promise<{
  content: StoredContent
  read: (range: ByteRange | undefined, signal: AbortSignal) => Promise<Readable>
}> {
  const content = await requireContent(deps, reader, videoId)
  const read = async (range: ByteRange | undefined, signal: AbortSignal) => {
    const reading = deps.objects.get(content.key, { signal, ...(range && { range }) })
    return (await reading.catch(asObjectFailure('video', 'job_id'))).body
  }
  return { content, read }
}

async function requireContent(
  deps: { db: Database },
  reader: Caller | 'link',
  videoId: string,
): Promise<StoredContent> {
  const video = reader === 'link' ? await selectVideoById(deps.db, videoId) : await requireVideo(deps, reader, videoId)
  if (video === undefined) throw notFound('video', 'job_id')
  if (video.content !== null) return video.content
  if (video.status === 'completed') {
    throw new DomainError(410, 'bad_request', 'The video is past its retention.', { type: 'gone', param: 'job_id' })
  }
  throw conflict(`The video is ${video.status}: there is nothing to download.`, 'job_id')
}

const LINK_LIVES_SECONDS = 24 * 3_600
const contentTarget = (videoId: string): LinkTarget => ({
  purpose: OPERATION_LINK,
  method: 'GET',
  path: `/v1/videos/${videoId}/content`,
})

function view(video: VideoRow, links: Links | undefined): VideoGenerationJob {
  return {
    id: video.id,
    object: 'video.generation',
    status: video.status,
    model: video.model,
    polling_url: `/v1/videos/${video.id}`,
    ...(video.provider?.generation_id ? { generation_id: video.provider.generation_id } : {}),
    ...(video.error === null ? {} : { error: video.error }),
    ...(video.status === 'completed' && video.content !== null && links !== undefined
      ? { unsigned_urls: [signLink(links.signingKeys, links.publicUrl, contentTarget(video.id), LINK_LIVES_SECONDS)] }
      : {}),
    ...(video.status === 'completed' && video.cost_nanos !== null
      ? { usage: { cost: usdNumber(video.cost_nanos) } }
      : {}),
    request_history_url: `/v1/request-history/${uuidOf(video.id)}`,
  } as VideoGenerationJob
}
