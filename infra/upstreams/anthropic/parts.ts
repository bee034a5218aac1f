import type {
  Base64ImageSource,
  CacheControlEphemeral,
  DocumentBlockParam,
  ImageBlockParam,
  TextBlockParam,
} from '@anthropic-ai/sdk/resources/messages/messages'
import { isFields, type Fields } from '../json.ts'
import { inexpressible } from './failures.ts'

export type PartBlock = TextBlockParam | ImageBlockParam | DocumentBlockParam

const IMAGE_TYPES = new Set(['image/jpeg', 'image/png', 'image/gif', 'image/webp'])
const DATA_URL = /^data:([^;,]+)(?:;[^;,]+)*;base64,/

/**
 * A message's content as blocks. Empty texts, which Anthropic refuses, are left out.
 * Errors: UpstreamFailure naming a part that Anthropic does not take.
 */
export function blocksOf(content: unknown, path: string): PartBlock[] {
  if (typeof content === 'string') return textBlocks(content)
  if (!Array.isArray(content)) return []
  return content.flatMap((part: unknown, index) => blocksOfPart(isFields(part) ? part : {}, `${path}.${index}`))
}

/** The same of content that may hold text alone. */
export function textsOf(content: unknown, path: string): TextBlockParam[] {
  const parts: unknown[] = Array.isArray(content) ? content : []
  const other = parts.findIndex(part => isFields(part) && part['type'] !== 'text' && part['type'] !== 'refusal')
  if (other !== -1) throw inexpressible(`\`${path}.${other}\` must be a text: Anthropic takes no other parts there.`)
  return blocksOf(content, path).filter(block => block.type === 'text')
}

function blocksOfPart(part: Fields, path: string): PartBlock[] {
  switch (part['type']) {
    case 'text':
      return textBlocks(part['text'], cacheHint(part))
    case 'refusal':
      return textBlocks(part['refusal'])
    case 'image_url':
      return [imageBlock(part, path)]
    case 'file':
      return [documentBlock(part, path)]
    default:
      throw inexpressible(`Anthropic takes no parts of the type of \`${path}\`: text, image_url or file is possible.`)
  }
}

const textBlocks = (text: unknown, hint: CacheHint = {}): TextBlockParam[] =>
  typeof text === 'string' && text.trim() !== '' ? [{ type: 'text', text, ...hint }] : []

interface CacheHint {
  cache_control?: CacheControlEphemeral
}

/** Anthropic's own hint, which OpenRouter takes on parts too: everything up to the part is cached. */
function cacheHint({ cache_control: control }: Fields): CacheHint {
  if (!isFields(control) || control['type'] !== 'ephemeral') return {}
  const { ttl } = control
  return { cache_control: { type: 'ephemeral', ...(ttl === '5m' || ttl === '1h' ? { ttl } : {}) } }
}

function imageBlock(part: Fields, path: string): ImageBlockParam {
  const url = isFields(part['image_url']) ? String(part['image_url']['url']) : ''
  if (!url.startsWith('data:')) return { type: 'image', source: { type: 'url', url }, ...cacheHint(part) }
  const { mediaType, data } = parseDataUrl(url, `${path}.image_url.url`)
  const type = mediaType === 'image/jpg' ? 'image/jpeg' : mediaType
  if (!isImageType(type)) throw inexpressible(`\`${path}.image_url.url\` must be a JPEG, PNG, GIF or WebP image.`)
  return { type: 'image', source: { type: 'base64', media_type: type, data }, ...cacheHint(part) }
}

const isImageType = (type: string): type is Base64ImageSource['media_type'] => IMAGE_TYPES.has(type)

function documentBlock(part: Fields, path: string): DocumentBlockParam {
  const { file_data: fileData, filename } = isFields(part['file']) ? part['file'] : {}
  if (typeof fileData !== 'string') {
    throw inexpressible(`\`${path}.file.file_data\` is required: Anthropic knows no files of other providers.`)
  }
  const { mediaType, data } = parseDataUrl(fileData, `${path}.file.file_data`)
  if (mediaType !== 'application/pdf') throw inexpressible(`\`${path}.file.file_data\` must be a PDF.`)
  const title = typeof filename === 'string' && filename !== '' ? { title: filename } : {}
  return { type: 'document', source: { type: 'base64', media_type: mediaType, data }, ...title, ...cacheHint(part) }
}

function parseDataUrl(url: string, path: string): { mediaType: string; data: string } {
  const [head, mediaType] = DATA_URL.exec(url) ?? []
  if (head === undefined || mediaType === undefined) throw inexpressible(`\`${path}\` must be a base64 data URL.`)
  return { mediaType: mediaType.toLowerCase(), data: url.slice(head.length) }
}
