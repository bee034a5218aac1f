import type { Database } from '../../../infra/postgres/database.ts'
import type { Metrics } from '../../../infra/metrics.ts'
import type { ObjectStore } from '../../../infra/objects/store.ts'
import { UpstreamFailure, type UpstreamSettings } from '../../../infra/upstreams/upstream.ts'
import { requireKnownModel } from '../../inference/catalog/model-access.rules.ts'
import { usualPriceOf } from '../../inference/catalog/pricing.rules.ts'
import { boundedCost, reportedCost } from '../../inference/catalog/provider-cost.ts'
import { DomainError } from '../../core/errors.ts'
import { uuidOf } from '../../core/ids.ts'
import type { JobContext } from '../../durable/jobs/job-context.ts'
import { touchJob } from '../../durable/jobs/jobs.service.ts'
import { inRun } from '../../durable/jobs/run-transaction.ts'
import { JobSuperseded } from '../../durable/jobs/superseded.ts'
import { noteUncharged } from '../../money/ledger/uncharged.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'
import { callPolicyOf } from '../../inference/provider-routes/call-policy.rules.ts'
import { planRoutes } from '../../inference/provider-routes/route-plan.ts'
import { callForJson, type RoutedCall, type RoutingDeps } from '../../inference/provider-routes/routing.service.ts'
import { storedValue } from '../../inference/threads/stored-json.ts'
import type { ThreadDeps } from '../../inference/threads/thread-work.ts'
import { endVideo } from './video-end.ts'
import { isEnded, jobHandle, priceOfSecond, providerState, secondsOf, type VideoStep } from './video.rules.ts'
import {
  countMissedPoll,
  countSubmit,
  selectDuration,
  selectRequestJson,
  selectVideoById,
  setContent,
  setProvider,
  type ProviderJob,
  type VideoRow,
} from './video.sql.ts'

type Fields = Record<string, unknown>

export interface VideoRunDeps extends RoutingDeps, ThreadDeps {
  db: Database
  objects: ObjectStore
  metrics: Metrics
}

/** Times that a provider which may make a video each time is asked without its answer arriving. */
const MOST_SUBMITS = 4
/** Polls in a row at which a provider may not know its own job: it may be slow to tell all of its servers. */
const MOST_MISSED_POLLS = 3
const CONTENT_TYPES = /^video\/[\w.+-]{1,60}$/

/**
 * Asks the provider for the video, and stores its handle before anything else is done. Where it was stored, nothing.
 * A crash, or an answer that was lost, between the two may leave a job at the provider that nobody reads. A provider
 * that takes idempotency keys is asked with the video's id, and makes it once. Others may be asked so only a few times:
 * each is counted before, and taken back where the provider was at its limit.
 */
export async function submitVideo(deps: VideoRunDeps, job: JobContext, videoId: string): Promise<VideoStep> {
  const video = await openVideo(deps, job, videoId)
  if (video === undefined) return 'ended'
  if (video.provider !== null) return 'go_on'
  const call = await submission(deps, job, video)
  const isOnce = call.routes.every(route => route.upstream.idempotencyKeys === true)
  if (!isOnce && video.submits >= MOST_SUBMITS) {
    return endedBy(deps, job, video, 'The provider was asked several times and gave no answer: it is not asked again.')
  }
  try {
    await inRun(deps.db, job.run, tx => countSubmit(tx, videoId, 1))
    const provider = await submitted(deps, call)
    await inRun(deps.db, job.run, tx => setProvider(tx, videoId, provider))
    return 'go_on'
  } catch (error) {
    if (!(error instanceof DomainError)) throw error
    // At its limit it has made nothing; whatever else it answers, it may have.
    if (error.code === 'rate_limit_exceeded') await inRun(deps.db, job.run, tx => countSubmit(tx, videoId, -1))
    if (error.retryable) throw error
    return endedBy(deps, job, video, error.message)
  }
}

async function submission(deps: VideoRunDeps, { signal }: JobContext, video: VideoRow): Promise<RoutedCall> {
  const owner = { userId: video.user_id, projectId: video.project_id }
  const model = requireKnownModel(deps.catalog, video.model)
  const policy = callPolicyOf(video.metadata ?? undefined, video.key_rules)
  const routes = await planRoutes(deps, { owner, model, policy })
  const requestId = uuidOf(video.id)
  // Not the run's: a job that is run again, of a restored database, is the same video.
  const idempotencyKey = video.id
  const json = (await selectRequestJson(deps.db, video.id)) ?? '{}'
  const body = (await storedValue(deps, { tenant: owner.userId, signal }, json)) as Record<string, unknown>
  return { requestId, owner, model, policy, routes, path: '/videos', body, signal, idempotencyKey }
}

async function submitted(deps: VideoRunDeps, call: RoutedCall): Promise<ProviderJob> {
  const { json, route } = await callForJson(deps, call)
  const handle = jobHandle(json)
  if (handle === undefined) throw failure('The provider took the job and gave no handle of it.')
  return {
    upstream: route.upstream.id,
    model: route.model,
    job_id: handle.jobId,
    generation_id: handle.generationId ?? null,
  }
}

const failure = (message: string): DomainError =>
  new DomainError(502, 'service_unavailable', message, { type: 'upstream_error', retryable: false })

/** Looks once how far the provider is. Errors: what another look may mend. */
export async function pollVideo(deps: VideoRunDeps, job: JobContext, videoId: string): Promise<VideoStep | 'running'> {
  const video = await openVideo(deps, job, videoId)
  if (video === undefined) return 'ended'
  const reply = await lookedUp(deps, job, video)
  if (reply === undefined) {
    const missed = await inRun(deps.db, job.run, tx => countMissedPoll(tx, videoId, true))
    if (missed < MOST_MISSED_POLLS) return 'running'
    return endedBy(deps, job, video, 'The provider no longer knows the job.')
  }
  if (video.polls_missed > 0) await inRun(deps.db, job.run, tx => countMissedPoll(tx, videoId, false))
  const state = providerState(reply)
  if (state.kind === 'running') return 'running'
  if (state.kind === 'over') {
    await endVideo(deps, job.run, videoId, state.ending, state.error)
    await noteReported(deps, video, reply, state.error)
    return 'ended'
  }
  if (state.hasContent) return 'go_on'
  return endedBy(deps, job, video, 'The provider completed the job without a video.', reply)
}

/** The provider's word on the job; undefined where it does not know it. */
async function lookedUp(
  deps: VideoRunDeps,
  { signal }: JobContext,
  video: VideoRow,
): Promise<Record<string, unknown> | undefined> {
  const { upstream, path } = targetOf(deps, video)
  try {
    return await deps.upstreams.get(upstream, { path, signal })
  } catch (error) {
    if (error instanceof UpstreamFailure && error.status === 404) return undefined
    throw error
  }
}

function targetOf(deps: VideoRunDeps, { provider }: VideoRow): { upstream: UpstreamSettings; path: string } {
  if (provider === null) throw new Error('a video was looked up before it was submitted')
  const upstream = deps.catalog.upstreams.find(({ id }) => id === provider.upstream)
  if (upstream === undefined) throw failure(`The upstream ${provider.upstream} is no longer configured.`)
  return { upstream, path: `/videos/${encodeURIComponent(provider.job_id)}` }
}

const objectKeyOf = (videoId: string): string => `videos/${videoId}`

/** Copies the video into our own store, with what the provider says it costs; then the job can end. */
export async function storeVideo(deps: VideoRunDeps, job: JobContext, videoId: string): Promise<VideoStep> {
  const video = await openVideo(deps, job, videoId)
  if (video === undefined) return 'ended'
  let reply: Fields | undefined
  try {
    reply = await lookedUp(deps, job, video)
    const cost = await costOf(deps, video, reply ?? {})
    const content = await copied(deps, job, video)
    await inRun(deps.db, job.run, tx => setContent(tx, videoId, content, cost))
    await endVideo(deps, job.run, videoId, 'completed', null)
    return 'ended'
  } catch (error) {
    if (error instanceof UpstreamFailure && error.status === 404) {
      return await endedBy(deps, job, video, 'The provider completed the job and no longer has the video.', reply)
    }
    if (error instanceof DomainError && !error.retryable) return await endedBy(deps, job, video, error.message, reply)
    throw error
  }
}

async function costOf(
  deps: VideoRunDeps,
  { id, model, held_nanos: reservedNanos }: VideoRow,
  reply: Fields,
): Promise<Nanos> {
  const price = priceOfSecond(requireKnownModel(deps.catalog, model))
  const seconds = async () => BigInt(secondsOf({ duration: await selectDuration(deps.db, id) }))
  const costNanos = reportedCost(reply) ?? usualPriceOf(price) * (await seconds())
  return boundedCost(deps.log, { costNanos, reservedNanos }, { id, model })
}

async function copied(deps: VideoRunDeps, { signal }: JobContext, video: VideoRow) {
  const { upstream, path } = targetOf(deps, video)
  const { body, contentType } = await deps.upstreams.download(upstream, { path: `${path}/content?index=0`, signal })
  const [type = ''] = contentType.toLowerCase().split(';')
  if (!CONTENT_TYPES.test(type.trim())) {
    body.destroy()
    throw failure('The provider completed the job with something that is no video.')
  }
  const object = await deps.objects.put(objectKeyOf(video.id), body, { contentType: type.trim(), signal })
  return { key: object.key, size_bytes: object.sizeBytes, etag: object.etag, content_type: object.contentType }
}

/** Fails it; `reply` is what the provider told of the job, where it told anything. */
async function endedBy(
  deps: VideoRunDeps,
  { run }: JobContext,
  video: VideoRow,
  error: string,
  reply: Fields = {},
): Promise<VideoStep> {
  await endVideo(deps, run, video.id, 'failed', error)
  await noteReported(deps, video, reply, error)
  return 'ended'
}

/** Tells operators of what the provider says that a video costs which nobody is charged for. */
async function noteReported(deps: VideoRunDeps, video: VideoRow, reply: Fields, error: string): Promise<void> {
  const upstream = video.provider?.upstream ?? 'none'
  await noteUncharged(deps, { resourceId: video.id, upstream, nanos: reportedCost(reply) ?? 0n, error, of: {} })
}

/** Undefined where it has ended. Errors: JobSuperseded. */
async function openVideo(deps: VideoRunDeps, { run }: JobContext, videoId: string): Promise<VideoRow | undefined> {
  const isOurs = await touchJob(deps.db, run)
  const video = await selectVideoById(deps.db, videoId)
  if (video === undefined || isEnded(video.status)) return undefined
  if (!isOurs) throw new JobSuperseded()
  return video
}
