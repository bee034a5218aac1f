import type { JobKind } from '../../durable/jobs/jobs.rules.ts'
import type { CatalogEntry } from '../../inference/catalog/catalog.schema.ts'
import type { UnitPrice } from '../../inference/catalog/pricing.rules.ts'
import { badRequest } from '../../core/errors.ts'
import type { JobDetails } from '../../durable/jobs/details.rules.ts'
import { publicRefusal } from '../../inference/provider-routes/upstream-text.rules.ts'
import type { VideoGenerationRequest, VideoStatus } from './video.schema.ts'

export const VIDEO_JOBS: JobKind = {
  kind: 'video',
  idPrefix: 'video',
  workflow: 'video',
  queue: 'control',
  isBackground: true,
  slots: { open: 500, running: 20 },
}

type Fields = Record<string, unknown>

export type VideoEnding = 'completed' | 'failed' | 'cancelled' | 'expired'

const ENDINGS: readonly string[] = ['completed', 'failed', 'cancelled', 'expired'] satisfies VideoEnding[]
export const isEnded = (status: VideoStatus): status is VideoEnding => ENDINGS.includes(status)

/** What a video's workflow is given. */
export interface VideoInput {
  videoId: string
  model: string
}

/** Whether a step has ended the video, or the next one is due. */
export type VideoStep = 'go_on' | 'ended'

/** The length of a video whose request names none. */
const UNSTATED_SECONDS = 8

export const secondsOf = ({ duration }: Fields): number => (typeof duration === 'number' ? duration : UNSTATED_SECONDS)

export const priceOfSecond = ({ price }: Pick<CatalogEntry, 'price'>): UnitPrice => ({
  usualUsd: price.video_second,
  mostUsd: price.video_second_most,
})

/**
 * What of a request reaches a provider: no field that is not priced, such as other names of the length, or a number of
 * videos.
 */
const PASSED = [
  'prompt',
  'aspect_ratio',
  'resolution',
  'size',
  'seed',
  'generate_audio',
  'frame_images',
  'input_references',
]

/** The request as the provider gets it, with the length that is held for; null stands for absent. */
export const providerRequest = (request: VideoGenerationRequest): Fields => ({
  ...Object.fromEntries(PASSED.flatMap(name => ((request[name] ?? null) === null ? [] : [[name, request[name]]]))),
  duration: secondsOf(request),
})

/** Pictures that a video begins with or follows: by data URL or HTTPS. Errors: 400 naming the slot. */
export function requireReferences(request: VideoGenerationRequest): void {
  for (const field of ['frame_images', 'input_references'] as const) {
    request[field]?.forEach((reference, index) => requireReference(reference, `${field}.${index}`))
  }
}

function requireReference(reference: Fields, path: string): void {
  const image = reference['image_url'] ?? reference['url']
  const url = typeof image === 'object' && image !== null ? (image as Fields)['url'] : image
  if (typeof url === 'string' && /^(https:\/\/|data:(image|video|audio)\/[\w.+-]+;base64,)/.test(url)) return
  throw badRequest(`\`${path}.image_url.url\` must be an HTTPS or data URL.`, `${path}.image_url.url`)
}

/** The provider's handle of a job; undefined where its reply holds none. */
export function jobHandle(reply: Fields): { jobId: string; generationId: string | undefined } | undefined {
  const { id, generation_id: generationId } = reply
  if (typeof id !== 'string' || !/^[\w.:-]{1,1024}$/.test(id)) return undefined
  return { jobId: id, generationId: typeof generationId === 'string' ? generationId.slice(0, 256) : undefined }
}

/** How the provider says that a job is. Its words differ by model and by month. */
export type ProviderState =
  | { kind: 'running' }
  | { kind: 'completed'; hasContent: boolean }
  | { kind: 'over'; ending: VideoEnding; error: string }

const RUNNING = ['pending', 'queued', 'submitted', 'in_progress', 'processing', 'running', 'generating']
const COMPLETED = ['completed', 'succeeded', 'success', 'done']
const OVER: Record<string, VideoEnding> = {
  failed: 'failed',
  error: 'failed',
  cancelled: 'cancelled',
  canceled: 'cancelled',
  expired: 'expired',
}

export function providerState(reply: Fields): ProviderState {
  const status = String(reply['status']).toLowerCase()
  if (RUNNING.includes(status)) return { kind: 'running' }
  if (COMPLETED.includes(status)) return { kind: 'completed', hasContent: hasContent(reply) }
  const ending = Object.hasOwn(OVER, status) ? OVER[status] : undefined
  if (ending !== undefined) return { kind: 'over', ending, error: providerError(reply['error'], ending) }
  const word = /^[a-z_]{1,30}$/.test(status) ? `: ${status}` : ''
  return { kind: 'over', ending: 'failed', error: `The provider reported a status that is not known${word}.` }
}

const hasContent = ({ unsigned_urls: urls }: Fields): boolean =>
  Array.isArray(urls) && urls.some(url => typeof url === 'string' && url !== '')

/** Jobs run on our own accounts, so the provider's words are not passed on (upstream-text.rules.ts). */
function providerError(error: unknown, ending: VideoEnding): string {
  const fields = typeof error === 'object' && error !== null ? (error as Fields) : { message: error }
  const [code, detail] = [fields['code'], fields['message']].map(text => (typeof text === 'string' ? text : undefined))
  const { kind, sentence } = publicRefusal({ code, detail }, false)
  return kind === 'other'
    ? `The provider ended the job as ${ending}.`
    : `The provider ended the job as ${ending}: ${sentence}`
}

/** Polls are close at first and further apart later. */
export const pollAgainAfterMs = (attempt: number): number => Math.min(10_000, 1_000 + attempt * 250)

/** What operators read of a video. */
export const videoDetails = ({ videoId: id, model }: VideoInput, phase: string): JobDetails => ({
  id,
  phase,
  model,
  figures: {},
})
