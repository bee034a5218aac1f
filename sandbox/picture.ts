import { crc32, deflateSync } from 'node:zlib'
import { labelOf } from './label.ts'

export interface PictureSize {
  width: number
  height: number
}

const LONG_SIDE_PX: Record<string, number> = { '1K': 1024, '2K': 2048, '4K': 4096 }
/** USD an image, as a provider would report it. */
const COST_USD: Record<string, number> = { '1K': 0.05, '2K': 0.07, '4K': 0.12 }

/** The pixels that OpenRouter's `image_config` asks for; a square of 1K unless told. */
export function pictureSizeOf(config: { aspect_ratio?: unknown; image_size?: unknown }): PictureSize {
  const [, across = '1', down = '1'] = /^(\d{1,2}):(\d{1,2})$/.exec(String(config.aspect_ratio)) ?? []
  const long = LONG_SIDE_PX[String(config.image_size)] ?? 1024
  const ratio = Number(across) / Number(down)
  return ratio >= 1
    ? { width: long, height: Math.round(long / ratio) }
    : { width: Math.round(long * ratio), height: long }
}

export const pictureCostUsd = (imageSize: unknown): number => COST_USD[String(imageSize)] ?? 0.05

/** Colours by their index in the picture: the label, its ground, and two that change with the seed. */
const LABEL = 0
const GROUND = 1
const LIGHT = 2
const DARK = 3

/** A PNG (W3C PNG, third edition) of squares in colours of the seed, with what it is written on it. */
export function drawnPicture({ width, height }: PictureSize, seed: number): Buffer {
  const square = Math.max(1, Math.round(Math.max(width, height) / 16))
  const label = labelOf(`SANDBOX ${width}x${height}`, width)
  const top = Math.floor((height - label.height) / 2)
  const left = Math.floor((width - label.width) / 2)
  const rows = Buffer.alloc((width + 1) * height)
  for (let y = 0; y < height; y++) {
    // Each row begins with its filter: none.
    const row = y * (width + 1) + 1
    for (let x = 0; x < width; x++) {
      const isDark = (Math.floor(x / square) + Math.floor(y / square)) % 2 === 1
      rows[row + x] = labelColour(label.at(x - left, y - top)) ?? (isDark ? DARK : LIGHT)
    }
  }
  return png({ width, height }, paletteOf(seed), rows)
}

function labelColour(isWritten: boolean | undefined): number | undefined {
  if (isWritten === undefined) return undefined
  return isWritten ? LABEL : GROUND
}

function png({ width, height }: PictureSize, palette: Buffer, rows: Buffer): Buffer {
  const header = Buffer.alloc(13)
  header.writeUInt32BE(width, 0)
  header.writeUInt32BE(height, 4)
  // 8 bits a pixel, each an index into the palette.
  header.set([8, 3, 0, 0, 0], 8)
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  const chunks = [chunk('IHDR', header), chunk('PLTE', palette), chunk('IDAT', deflateSync(rows)), chunk('IEND')]
  return Buffer.concat([signature, ...chunks])
}

function chunk(type: string, data: Buffer = Buffer.alloc(0)): Buffer {
  const typed = Buffer.concat([Buffer.from(type, 'latin1'), data])
  const [length, check] = [Buffer.alloc(4), Buffer.alloc(4)]
  length.writeUInt32BE(data.length)
  check.writeUInt32BE(crc32(typed))
  return Buffer.concat([length, typed, check])
}

function paletteOf(seed: number): Buffer {
  const channel = (shift: number) => 64 + ((seed >>> shift) & 0x7f)
  const dark = [channel(0), channel(7), channel(14)]
  return Buffer.from([[255, 255, 255], [24, 24, 24], dark.map(value => value + 48), dark].flat())
}
