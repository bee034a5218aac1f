import { Type, type Static } from 'typebox'
import { checkerOf } from './checked.ts'
import { drawnClip } from './clip.ts'
import { hashOf } from './hash.ts'
import { OpenAiError } from './openai-error.ts'

const VideoRequest = Type.Object({
  model: Type.String({ minLength: 1 }),
  prompt: Type.String({ minLength: 1 }),
  aspect_ratio: Type.Optional(Type.String()),
  duration: Type.Optional(Type.Integer({ minimum: 1, maximum: 15 })),
  resolution: Type.Optional(Type.String()),
  size: Type.Optional(Type.String()),
})

/** Everything that a job is, so that the sandbox needs no memory: its id holds it. */
const Job = Type.Object({
  seed: Type.Integer(),
  width: Type.Integer({ minimum: 16, maximum: 4_096 }),
  height: Type.Integer({ minimum: 16, maximum: 4_096 }),
  seconds: Type.Integer({ minimum: 1, maximum: 15 }),
  /** Unix time in ms. */
  startedAtMs: Type.Integer(),
})
type Job = Static<typeof Job>

const checkedRequest = checkerOf(VideoRequest)
const checkedJob = checkerOf(Job)

const RENDERING_MS = 2_000
const COST_USD_PER_SECOND = 0.05
const USUAL_SECONDS = 2
const HEIGHTS: Record<string, number> = { '480p': 480, '720p': 720 }
/** Nothing is compressed: a clip stays small where its sides are. */
const SMALLER = 2

/** Answers POST /v1/videos as OpenRouter does: with a job. Errors: 400 naming the field. */
export function startVideo(body: unknown): object {
  const { prompt, duration = USUAL_SECONDS, ...asked } = checkedRequest(body)
  const job = { seed: hashOf(prompt), seconds: duration, startedAtMs: Date.now(), ...sizeOf(asked) }
  const id = Buffer.from(JSON.stringify(job)).toString('base64url')
  return { id, generation_id: `gen-${job.seed}`, polling_url: `/v1/videos/${id}`, status: 'pending' }
}

/** Answers GET /v1/videos/{id}. Errors: 404. */
export function videoStatus(id: string): object {
  const { seed, seconds, startedAtMs } = jobOf(id)
  const job = { id, generation_id: `gen-${seed}`, polling_url: `/v1/videos/${id}` }
  if (Date.now() < startedAtMs + RENDERING_MS) return { ...job, status: 'in_progress' }
  const usage = { cost: Math.round(seconds * COST_USD_PER_SECOND * 1e6) / 1e6, is_byok: false }
  return { ...job, status: 'completed', unsigned_urls: [`/v1/videos/${id}/content?index=0`], usage }
}

/** Answers GET /v1/videos/{id}/content. Errors: 404. */
export function videoContent(id: string): Buffer {
  const { width, height, seconds, seed } = jobOf(id)
  return drawnClip({ width, height }, seconds, seed)
}

function jobOf(id: string): Job {
  try {
    return checkedJob(JSON.parse(Buffer.from(id, 'base64url').toString('utf8')))
  } catch {
    throw new OpenAiError(404, 'There is no such video.', { code: 'not_found' })
  }
}

function sizeOf(asked: { aspect_ratio?: string; resolution?: string; size?: string }) {
  const [, width, height] = /^(\d{2,4})x(\d{2,4})$/.exec(asked.size ?? '') ?? []
  if (width !== undefined && height !== undefined) return { width: even(Number(width)), height: even(Number(height)) }
  const [, across = '16', down = '9'] = /^(\d{1,2}):(\d{1,2})$/.exec(asked.aspect_ratio ?? '') ?? []
  const short = (HEIGHTS[asked.resolution ?? ''] ?? 480) / SMALLER
  const ratio = Number(across) / Number(down)
  return ratio >= 1
    ? { width: even(short * ratio), height: even(short) }
    : { width: even(short), height: even(short / ratio) }
}

const even = (pixels: number): number => Math.min(4_096, Math.max(16, Math.round(pixels / 2) * 2))
