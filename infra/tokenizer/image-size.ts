export interface ImageSize {
  width: number
  height: number
}

/**
 * The size in pixels from the head of a PNG, GIF, WebP or JPEG file; undefined for anything else, a cut head or an
 * empty image. Formats: PNG (ISO/IEC 15948) IHDR, GIF89a screen descriptor, WebP container, JPEG (T.81) SOF marker.
 */
export function imageSize(head: Buffer): ImageSize | undefined {
  const size = readerOf(head)?.(Buffer.concat([head, CUT_HEAD_PADDING]))
  return size && size.width > 0 && size.height > 0 ? size : undefined
}

/** A cut head reads as zeros behind its end, which no image has as its size. */
const CUT_HEAD_PADDING = Buffer.alloc(32)

type Reader = (head: Buffer) => ImageSize | undefined

function readerOf(head: Buffer): Reader | undefined {
  if (head.toString('latin1', 1, 4) === 'PNG') return png
  if (head.toString('latin1', 0, 4) === 'GIF8') return gif
  if (head.toString('latin1', 8, 12) === 'WEBP') return webp
  if (head[0] === 0xff && head[1] === 0xd8) return jpeg
  return undefined
}

const png: Reader = head => ({ width: head.readUInt32BE(16), height: head.readUInt32BE(20) })

const gif: Reader = head => ({ width: head.readUInt16LE(6), height: head.readUInt16LE(8) })

const webp: Reader = head => {
  const chunk = head.toString('latin1', 12, 16)
  if (chunk === 'VP8X') return { width: head.readUIntLE(24, 3) + 1, height: head.readUIntLE(27, 3) + 1 }
  if (chunk === 'VP8 ') return { width: head.readUInt16LE(26) & 0x3fff, height: head.readUInt16LE(28) & 0x3fff }
  const bits = head.readUInt32LE(21)
  return { width: (bits & 0x3fff) + 1, height: ((bits >> 14) & 0x3fff) + 1 }
}

/** Walks the segments up to the start of frame (C0-CF without the tables C4, C8 and CC). */
const jpeg: Reader = head => {
  for (let at = 2; head[at] === 0xff; at += 2 + head.readUInt16BE(at + 2)) {
    const marker = head.readUInt8(at + 1)
    const isFrame = marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
    if (isFrame) return { width: head.readUInt16BE(at + 7), height: head.readUInt16BE(at + 5) }
  }
  return undefined
}
