import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { ChatCompletionRequest } from './chat.schema.ts'
import { askedBytes } from './chat-sizes.rules.ts'

type Fields = Record<string, unknown>
type Messages = ChatCompletionRequest['messages']

/** The most that any public family of models makes of one picture. */
const TOKENS_OF_IMAGE = 16_384
/** What most of them make of a usual one. */
const USUAL_TOKENS_OF_IMAGE = 1_600
/** Of text in most languages a token has about four bytes; fewer in code and figures, rarely more than eight. */
const USUAL_BYTES_PER_TOKEN = 3
const MOST_BYTES_PER_TOKEN = 8
/** What providers put around a prompt that is in no request: control tokens, a system prompt of their own. */
const ADDED_TOKENS = 256
/** The same where there are tools: how they are to be called. */
const ADDED_TOKENS_WITH_TOOLS = 1_024

/** What a message may hold that is text alone. Whatever else it holds may be media. */
const TEXT_OF_MESSAGE = new Set(
  (
    'role content name id type status phase index weight recipient channel prefix partial cache_control refusal ' +
    'tool_calls tool_call_id function_call reasoning reasoning_content reasoning_details thinking thinking_blocks ' +
    'parsed created_at timestamp'
  ).split(' '),
)
const TEXT_PARTS = new Set([
  'text',
  'refusal',
  'thinking',
  'redacted_thinking',
  'reasoning',
  'input_text',
  'output_text',
])

/** What the messages hold besides text. */
interface Media {
  images: number
  /** Of `data:` URLs of pictures: bytes that are no text. */
  imageBytes: number
  /** Files, audio, video or what is not known, a few bytes of which may be any number of tokens. */
  isUnbounded: boolean
}

const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** Of a body of so many bytes. No model takes more than its window. */
export interface InputBounds {
  /**
   * A token is at least one byte of text, and of all that leaves only the data of pictures, where they are parts of
   * messages, is no text.
   */
  most: number
  /** Fewer are seldom counted: whether it makes sense to count at all. */
  least: number
  /** A quick guess that is rather too high for text: no tokenizer runs. */
  about: number
  /** Of the body, but for the data of pictures. */
  textBytes: number
}

/** How many input tokens a chat can cost. `bodyBytes` are those of the body that leaves. */
export function inputBoundsOf(body: Fields, bodyBytes: number, model: CatalogEntry): InputBounds {
  const media = mediaOf(body['messages'] as Messages)
  const textBytes = bodyBytes - media.imageBytes
  return {
    most: withMedia(textBytes, media, body, model),
    least: Math.min(model.max_input_tokens, Math.ceil(textBytes / MOST_BYTES_PER_TOKEN)),
    about: usualTokens(textBytes, media),
    textBytes,
  }
}

/** The most of a chat whose text has so many tokens as were counted. */
export const mostCountedTokens = (body: Fields, textTokens: number, model: CatalogEntry): number =>
  withMedia(textTokens, mediaOf(body['messages'] as Messages), body, model)

/** About what a request has besides its options, which are so many bytes as JSON. */
export function estimatedInputTokens(
  request: Pick<ChatCompletionRequest, 'messages'> & { tools?: unknown },
  bytes = askedBytes(request),
): number {
  const media = mediaOf(request.messages)
  return usualTokens(bytes - media.imageBytes, media)
}

const usualTokens = (textBytes: number, { images }: Media): number =>
  Math.ceil(textBytes / USUAL_BYTES_PER_TOKEN) + images * USUAL_TOKENS_OF_IMAGE

function withMedia(textTokens: number, { images, isUnbounded }: Media, body: Fields, model: CatalogEntry): number {
  if (isUnbounded) return model.max_input_tokens
  return Math.min(model.max_input_tokens, textTokens + besidesText(body, images))
}

function besidesText(body: Fields, images: number): number {
  const hasTools = body['tools'] !== undefined || body['functions'] !== undefined
  const added = hasTools ? ADDED_TOKENS_WITH_TOOLS : ADDED_TOKENS
  return images * TOKENS_OF_IMAGE + added
}

function mediaOf(messages: Messages): Media {
  const media: Media = { images: 0, imageBytes: 0, isUnbounded: false }
  for (const message of messages as Fields[]) {
    for (const name in message) if (!TEXT_OF_MESSAGE.has(name) && mayBeMedia(message[name])) media.isUnbounded = true
    const { content } = message
    if (Array.isArray(content)) for (const part of content) addPart(media, part)
  }
  return media
}

/** Numbers and what is empty are none. */
const mayBeMedia = (value: unknown): boolean =>
  (typeof value === 'string' && value !== '') ||
  (typeof value === 'object' && value !== null && Object.keys(value).length > 0)

function addPart(media: Media, part: unknown): void {
  const type = isFields(part) ? part['type'] : undefined
  if (type === 'image_url') {
    media.images += 1
    media.imageBytes += Buffer.byteLength(dataUrlOf(part as Fields))
  } else if (typeof type !== 'string' || !TEXT_PARTS.has(type)) media.isUnbounded = true
}

/** The data of an image part; empty where it is behind an address. */
function dataUrlOf({ image_url: image }: Fields): string {
  const url = isFields(image) ? image['url'] : undefined
  return typeof url === 'string' && url.startsWith('data:image/') ? url : ''
}

/** The body without the data of its pictures: what of it is text. */
export function withoutImageData(body: Fields): Fields {
  const messages = (body['messages'] as Fields[]).map(message =>
    Array.isArray(message['content']) ? { ...message, content: message['content'].map(withoutData) } : message,
  )
  return { ...body, messages }
}

function withoutData(part: unknown): unknown {
  if (!isFields(part) || part['type'] !== 'image_url' || dataUrlOf(part) === '') return part
  return { ...part, image_url: { ...(part['image_url'] as Fields), url: '' } }
}
