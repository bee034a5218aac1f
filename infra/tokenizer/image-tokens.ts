import { imageSize, type ImageSize } from './image-size.ts'

const BASE_TOKENS = 85
const TOKENS_PER_TILE = 170
const TILE_PX = 512
const MAX_SIDE_PX = 2048
const SHORT_SIDE_PX = 768

/** What a 1024 x 1024 image costs; used where only an address is known. */
const UNKNOWN_SIZE: ImageSize = { width: 1024, height: 1024 }

/**
 * Tokens of an image by OpenAI's published tile rule (vision guide, GPT-4o): `low` is 85; else the image is shrunk to
 * fit 2048 x 2048, then until its short side is 768, and costs 85 and 170 for each 512-pixel tile. The size is read
 * from a `data:` URL (PNG, JPEG, GIF, WebP); behind an address it is taken as 1024 x 1024, 765 tokens.
 */
export function countImageTokens(url: string, detail: unknown): number {
  if (detail === 'low') return BASE_TOKENS
  return tileTokens(imageSizeOfUrl(url) ?? UNKNOWN_SIZE)
}

/** The rule for a known size in pixels, with high detail. */
export function tileTokens({ width, height }: ImageSize): number {
  const fit = Math.min(1, MAX_SIDE_PX / Math.max(width, height))
  const shrink = Math.min(1, SHORT_SIDE_PX / (Math.min(width, height) * fit))
  const tilesOf = (side: number): number => Math.max(1, Math.ceil(round(side * fit * shrink) / TILE_PX))
  return BASE_TOKENS + TOKENS_PER_TILE * tilesOf(width) * tilesOf(height)
}

/** Floating point must not make a side of exactly n tiles one tile longer. */
function round(px: number): number {
  return Math.round(px * 1000) / 1000
}

/** JPEG keeps its size behind metadata: thumbnails and profiles end well within this. */
const HEADER_BASE64_CHARS = 512 * 1024

function imageSizeOfUrl(url: string): ImageSize | undefined {
  const comma = /^data:image\/[^,]{0,100};base64,/i.exec(url)?.[0].length
  if (comma === undefined) return undefined
  return imageSize(Buffer.from(url.slice(comma, comma + HEADER_BASE64_CHARS), 'base64'))
}
