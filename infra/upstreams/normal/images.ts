import { isFields, type Fields } from '../json.ts'

/** A picture's first bytes in base64, where an upstream does not say of what type it is. */
const BEGINNINGS: [string, string][] = [
  ['iVBORw0KGgo', 'image/png'],
  ['/9j/', 'image/jpeg'],
  ['UklGR', 'image/webp'],
  ['R0lGOD', 'image/gif'],
]
const DATA_URL = /^data:([^;,]{0,100})((?:;[^;,]{0,100})*),/i

/**
 * The pictures of a message as OpenRouter has them, by address or data URL. What other providers have for one is its
 * data: base64 alone, beside its type, in lines, or in the letters of URLs. What holds no picture is left out.
 * Sources: https://openrouter.ai/docs/features/multimodal/image-generation ·
 * https://platform.openai.com/docs/api-reference/images/object · https://ai.google.dev/api/caching#Blob
 */
export function normalImages(images: unknown): Fields[] {
  return (Array.isArray(images) ? images : [images]).flatMap((image: unknown) => {
    const url = isFields(image) ? urlOf(image) : urlOfText(image)
    return url === undefined ? [] : [{ type: 'image_url', image_url: { url } }]
  })
}

function urlOf(image: Fields): string | undefined {
  const { image_url: held, url, b64_json: base64, inline_data, inlineData, source } = image
  const blob = [inline_data, inlineData, source].find(isFields) ?? {}
  const type = [blob['mime_type'], blob['mimeType'], blob['media_type'], image['mime_type']].find(isText)
  const texts = [isFields(held) ? held['url'] : held, url, base64, blob['data'], blob['url']]
  return texts.map(text => urlOfText(text, type)).find(isText)
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== ''

function urlOfText(value: unknown, type?: string): string | undefined {
  if (!isText(value)) return undefined
  const text = value.trim()
  if (/^https?:\/\//i.test(text)) return text
  const [head, named, parameters] = DATA_URL.exec(text) ?? []
  if (head === undefined) return dataUrlOf(text, type)
  return /;base64$/i.test(parameters ?? '') ? dataUrlOf(text.slice(head.length), named) : undefined
}

function dataUrlOf(written: string, type: string | undefined): string | undefined {
  const base64 = (/\s/.test(written) ? written.replaceAll(/\s+/g, '') : written)
    .replaceAll('-', '+')
    .replaceAll('_', '/')
  if (base64 === '' || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return undefined
  const known = type !== undefined && /^image\//i.test(type) ? type.toLowerCase() : typeOf(base64)
  return known === undefined ? undefined : `data:${known};base64,${base64}`
}

const typeOf = (base64: string): string | undefined => BEGINNINGS.find(([begin]) => base64.startsWith(begin))?.[1]
