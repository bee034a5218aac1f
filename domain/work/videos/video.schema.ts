import { Type, type Static } from 'typebox'
import { anyObject, faces, orNull } from '../../core/schemas.schema.ts'

export const DEFAULT_VIDEO_MODEL = 'grok-imagine-video'
const MOST_PROMPT_CHARACTERS = 100_000
const MOST_REFERENCES = 8

const short = () => Type.Optional(orNull(faces(Type.String(), Type.String({ maxLength: 64 }))))
const references = () =>
  Type.Optional(
    orNull(
      faces(
        Type.Array(anyObject({ additionalProperties: true })),
        Type.Array(anyObject({ additionalProperties: true }), { maxItems: MOST_REFERENCES }),
      ),
    ),
  )

export const VideoGenerationRequest = Type.Object(
  {
    model: Type.Optional(
      orNull(
        faces(
          Type.Enum([DEFAULT_VIDEO_MODEL, `x-ai/${DEFAULT_VIDEO_MODEL}`], {
            type: 'string',
            default: DEFAULT_VIDEO_MODEL,
          }),
          Type.String({ minLength: 1, maxLength: 256 }),
        ),
      ),
    ),
    prompt: faces(Type.String(), Type.String({ minLength: 1, maxLength: MOST_PROMPT_CHARACTERS })),
    aspect_ratio: short(),
    duration: Type.Optional(orNull(Type.Integer({ minimum: 1, maximum: 15 }))),
    resolution: Type.Optional(orNull(Type.Enum(['480p', '720p'], { type: 'string' }))),
    size: Type.Optional(
      orNull(
        faces(
          Type.String({ description: 'Exact WIDTHxHEIGHT output size when supported by the model.' }),
          Type.String({ pattern: '^[1-9]\\d{1,3}x[1-9]\\d{1,3}$' }),
        ),
      ),
    ),
    seed: Type.Optional(orNull(Type.Integer())),
    generate_audio: Type.Optional(orNull(Type.Boolean())),
    frame_images: references(),
    input_references: references(),
  },
  { $id: 'VideoGenerationRequest', additionalProperties: true },
)
export type VideoGenerationRequest = Static<typeof VideoGenerationRequest> & Record<string, unknown>

const STATUSES = ['pending', 'in_progress', 'completed', 'failed', 'cancelled', 'expired'] as const
export type VideoStatus = (typeof STATUSES)[number]

export const VideoGenerationJob = Type.Object(
  {
    id: Type.String(),
    object: Type.Literal('video.generation'),
    status: Type.Enum([...STATUSES]),
    model: Type.String(),
    polling_url: Type.String(),
    generation_id: Type.Optional(Type.String()),
    unsigned_urls: Type.Optional(Type.Array(Type.String())),
    error: Type.Optional(Type.String()),
    usage: Type.Optional(anyObject({ additionalProperties: true })),
  },
  { $id: 'VideoGenerationJob', additionalProperties: true },
)
export type VideoGenerationJob = Static<typeof VideoGenerationJob>

export const VideoContentQuery = Type.Object({
  index: Type.Optional(Type.Integer({ minimum: 0, maximum: 0, description: 'Which of the videos; there is one.' })),
})
