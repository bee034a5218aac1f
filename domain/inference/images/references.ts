import { OutboundFailure } from '../../../infra/outbound/failure.ts'
import type { Outbound } from '../../../infra/outbound/outbound.ts'
import { badRequest } from '../../core/errors.ts'
import { dataUrlOf } from './image.rules.ts'
import { pictureOf } from './picture.ts'
import type { ImageGenerationRequest } from './image.schema.ts'

const LIMIT_BYTES = 10 * 1024 * 1024
const TIMEOUT_MS = 20_000
/** Of all pictures together: they leave in one body. */
const MOST_CHARACTERS = 32 * 1024 * 1024
/** What image models read. */
const TYPES = ['image/png', 'image/jpeg', 'image/webp', 'image/gif']

/**
 * The pictures that a request refers to, as data URLs; those at an address are fetched here, so that no provider is
 * sent to addresses that users name. Errors: 400 naming the field.
 */
export async function referencesOf(
  outbound: Outbound,
  { image_url: one, image_urls: more }: ImageGenerationRequest,
  signal: AbortSignal,
): Promise<string[]> {
  const given = [
    ...(one === undefined || one === null ? [] : [{ url: one, param: 'image_url' }]),
    ...(more ?? []).map((url, index) => ({ url, param: `image_urls.${index}` })),
  ]
  const urls = await Promise.all(given.map(({ url, param }) => referenceOf(outbound, url, param, signal)))
  if (urls.reduce((sum, url) => sum + url.length, 0) <= MOST_CHARACTERS) return urls
  throw badRequest(`The pictures have more than ${MOST_CHARACTERS} characters in base64 together.`, given[0]?.param)
}

async function referenceOf(outbound: Outbound, url: string, param: string, signal: AbortSignal): Promise<string> {
  if (!url.startsWith('data:')) return fetched(outbound, url, param, signal)
  const picture = await pictureOf(url)
  if (picture === undefined || !TYPES.includes(picture.mediaType)) {
    throw badRequest(`\`${param}\` must be a data URL of ${TYPES.join(', ')} in base64.`, param)
  }
  return url
}

async function fetched(outbound: Outbound, url: string, param: string, signal: AbortSignal): Promise<string> {
  try {
    const options = { limitBytes: LIMIT_BYTES, timeoutMs: TIMEOUT_MS, signal, accept: TYPES }
    const { bytes, mediaType } = await outbound.fetchBytes(url, options)
    return dataUrlOf({ mediaType, base64: bytes.toString('base64') })
  } catch (error) {
    if (!(error instanceof OutboundFailure) || error.kind === 'aborted') throw error
    throw badRequest(`\`${param}\` could not be fetched: ${error.message}.`, param)
  }
}
