import { Type, type Static } from 'typebox'
import { anyObject, faces, orNull } from '../../core/schemas.schema.ts'

export const DEFAULT_IMAGE_MODEL = 'grok-imagine-image-quality'
const MOST_PROMPT_CHARACTERS = 100_000
const REFERENCES = 8

const model = faces(
  Type.Enum([DEFAULT_IMAGE_MODEL, `x-ai/${DEFAULT_IMAGE_MODEL}`], { type: 'string', default: DEFAULT_IMAGE_MODEL }),
  Type.String({ minLength: 1, maxLength: 256 }),
)
const reference = (description: string) => Type.Optional(orNull(Type.String({ description })))

export const ImageGenerationRequest = Type.Object(
  {
    model: Type.Optional(orNull(model)),
    prompt: faces(Type.String(), Type.String({ minLength: 1, maxLength: MOST_PROMPT_CHARACTERS })),
    n: Type.Optional(orNull(Type.Integer({ minimum: 1, maximum: 4, default: 1 }))),
    size: Type.Optional(
      orNull(
        Type.String({
          description: 'Optional OpenAI-style WIDTHxHEIGHT size. Converted to OpenRouter image_config.aspect_ratio.',
        }),
      ),
    ),
    quality: Type.Optional(
      orNull(
        Type.String({
          description:
            'Optional quality hint. `hd`, `high`, or `2k` maps to image_config.image_size=2K; standard/1k maps to 1K.',
        }),
      ),
    ),
    response_format: Type.Optional(
      orNull(Type.Unsafe<'url' | 'b64_json'>({ type: 'string', enum: ['url', 'b64_json'], default: 'url' })),
    ),
    image_url: reference('Optional reference image URL or base64 data URL.'),
    image_urls: Type.Optional(
      orNull(
        Type.Array(Type.String(), {
          maxItems: REFERENCES,
          description: 'Optional reference image URLs or base64 data URLs.',
        }),
      ),
    ),
    image_config: Type.Optional(
      orNull(anyObject({ additionalProperties: true, description: 'Optional OpenRouter image_config passthrough.' })),
    ),
  },
  { $id: 'ImageGenerationRequest', additionalProperties: true },
)
export type ImageGenerationRequest = Static<typeof ImageGenerationRequest> & Record<string, unknown>

const text = () => Type.Optional(Type.String())

export const ImageGenerationResponse = Type.Object(
  {
    created: Type.Integer(),
    data: Type.Array(
      Type.Object(
        { url: text(), b64_json: text(), mime_type: text(), revised_prompt: text() },
        { additionalProperties: true },
      ),
    ),
    usage: Type.Optional(anyObject({ additionalProperties: true })),
  },
  { $id: 'ImageGenerationResponse', additionalProperties: true },
)
export type ImageGenerationResponse = Static<typeof ImageGenerationResponse>
