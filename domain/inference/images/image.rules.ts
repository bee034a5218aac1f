import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { badRequest } from '../../core/errors.ts'
import type { ImageGenerationRequest } from './image.schema.ts'

type Fields = Record<string, unknown>

/** OpenRouter's `image_config.aspect_ratio` (https://openrouter.ai/docs/features/multimodal/image-generation). */
const ASPECT_RATIOS = ['1:1', '2:3', '3:2', '3:4', '4:3', '4:5', '5:4', '9:16', '16:9', '21:9']
const LONGEST_SIDE_PX = 8_192

const IMAGE_SIZES: Record<string, string> = {
  ...Object.fromEntries(['hd', 'high', '2k'].map(name => [name, '2K'])),
  ...Object.fromEntries(['standard', '1k', 'low', 'medium'].map(name => [name, '1K'])),
}
const UNSTATED = 'auto'

/** How the picture is to be: what the request says in OpenAI's words, and over it what it says in OpenRouter's. Errors: 400. */
function imageConfigOf({ size, quality, image_config: own }: ImageGenerationRequest): Fields {
  return {
    ...(isStated(size) ? { aspect_ratio: aspectRatioOf(size) } : {}),
    ...(isStated(quality) ? { image_size: imageSizeOf(quality) } : {}),
    ...own,
  }
}

const isStated = (hint: string | null | undefined): hint is string =>
  hint !== undefined && hint !== null && hint !== UNSTATED

function imageSizeOf(quality: string): string {
  const size = IMAGE_SIZES[quality.toLowerCase()]
  if (size !== undefined) return size
  throw badRequest(`\`quality\` must be one of ${UNSTATED}, ${Object.keys(IMAGE_SIZES).join(', ')}.`, 'quality')
}

/** The ratio that comes nearest. */
function aspectRatioOf(size: string): string {
  const [, width, height] = /^([1-9]\d{0,4})x([1-9]\d{0,4})$/.exec(size) ?? []
  const sides = [Number(width), Number(height)]
  if (!sides.every(side => side <= LONGEST_SIDE_PX)) {
    throw badRequest(`\`size\` must be ${UNSTATED}, or WIDTHxHEIGHT in pixels up to ${LONGEST_SIDE_PX}.`, 'size')
  }
  const wanted = Math.log(Number(width) / Number(height))
  const distance = (ratio: string) => Math.abs(Math.log(valueOf(ratio)) - wanted)
  return ASPECT_RATIOS.reduce((best, ratio) => (distance(ratio) < distance(best) ? ratio : best))
}

const valueOf = (ratio: string): number => {
  const [width, height] = ratio.split(':').map(Number)
  return (width ?? 1) / (height ?? 1)
}

/** Both are for models that write too; the catalog says where a model only draws. */
const MODALITIES = ['image', 'text']

/** A chat whose reply is one picture, of the prompt and the pictures it refers to, all of them data URLs. */
export const chatBodyOf = (request: ImageGenerationRequest, model: CatalogEntry, references: string[]): Fields => ({
  messages: [
    {
      role: 'user',
      content:
        references.length === 0
          ? request.prompt
          : [
              { type: 'text', text: request.prompt },
              ...references.map(url => ({ type: 'image_url', image_url: { url } })),
            ],
    },
  ],
  modalities: model.output_modalities ?? MODALITIES,
  image_config: imageConfigOf(request),
})

export interface Picture {
  mediaType: string
  base64: string
}

/** What stands before a picture's data in its data URL (RFC 2397), and how long that is. */
export function pictureHeadOf(dataUrl: string): { mediaType: string; length: number } | undefined {
  const head = /^data:(image\/[\w.+-]{1,60});base64,/.exec(dataUrl)
  return head?.[1] === undefined ? undefined : { mediaType: head[1], length: head[0].length }
}

export const dataUrlOf = ({ mediaType, base64 }: Picture): string => `data:${mediaType};base64,${base64}`

const fieldsOf = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})
const listOf = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])

/** What a chat's reply holds: addresses of pictures, the text beside them, and why it holds none. */
export function drawnBy(json: Fields): { urls: string[]; text: string | undefined; isFiltered: boolean } {
  const choice = fieldsOf(listOf(json['choices'])[0])
  const message = fieldsOf(choice['message'])
  const urls = listOf(message['images']).map(image => fieldsOf(fieldsOf(image)['image_url'])['url'])
  const { content, refusal } = message
  return {
    urls: urls.filter(url => typeof url === 'string'),
    text: typeof content === 'string' && content.trim() !== '' ? content : undefined,
    isFiltered: choice['finish_reason'] === 'content_filter' || (typeof refusal === 'string' && refusal !== ''),
  }
}
