import { crc32, deflateSync } from 'node:zlib'

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
      rows[row + x] =
        label.at(x - left, y - top) ?? ((Math.floor(x / square) + Math.floor(y / square)) % 2 ? DARK : LIGHT)
    }
  }
  return png({ width, height }, paletteOf(seed), rows)
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

/** Five columns and seven rows of dots a letter, a row in five digits of binary. */
const LETTERS: Record<string, string> = {
  S: '01111 10000 10000 01110 00001 00001 11110',
  A: '01110 10001 10001 11111 10001 10001 10001',
  N: '10001 11001 10101 10011 10001 10001 10001',
  D: '11110 10001 10001 10001 10001 10001 11110',
  B: '11110 10001 10001 11110 10001 10001 11110',
  O: '01110 10001 10001 10001 10001 10001 01110',
  X: '10001 10001 01010 00100 01010 10001 10001',
  x: '00000 00000 10001 01010 00100 01010 10001',
  0: '01110 10001 10011 10101 11001 10001 01110',
  1: '00100 01100 00100 00100 00100 00100 01110',
  2: '01110 10001 00001 00110 01000 10000 11111',
  3: '11110 00001 00001 01110 00001 00001 11110',
  4: '00010 00110 01010 10010 11111 00010 00010',
  5: '11111 10000 11110 00001 00001 10001 01110',
  6: '00110 01000 10000 11110 10001 10001 01110',
  7: '11111 00001 00010 00100 01000 01000 01000',
  8: '01110 10001 10001 01110 10001 10001 01110',
  9: '01110 10001 10001 01111 00001 00010 01100',
}
const COLUMNS = 6
const MARGIN = 2
const ROWS = 7

/** A text on its ground; `at` gives the colour of a pixel, undefined outside. */
function labelOf(text: string, pictureWidth: number) {
  const letters = [...text].map(letter => (LETTERS[letter] ?? '').split(' '))
  const across = letters.length * COLUMNS - 1 + 2 * MARGIN
  const dot = Math.max(1, Math.floor((pictureWidth * 0.8) / across))
  const at = (x: number, y: number): number | undefined => {
    const [column, row] = [Math.floor(x / dot), Math.floor(y / dot)]
    if (column < 0 || column >= across || row < 0 || row >= ROWS + 2 * MARGIN) return undefined
    const [inText, line] = [column - MARGIN, row - MARGIN]
    return letters[Math.floor(inText / COLUMNS)]?.[line]?.[inText % COLUMNS] === '1' ? LABEL : GROUND
  }
  return { width: across * dot, height: (ROWS + 2 * MARGIN) * dot, at }
}
