import { BitWriter } from './bits.ts'

/**
 * An H.264 encoder (ITU-T H.264) of the simplest kind: constrained baseline, pictures of raw macroblocks (I_PCM), and
 * pictures that repeat the one before (P_Skip). Nothing is compressed, and every decoder reads it.
 */
export interface Frame {
  /** Luma of a pixel, 16 to 235. */
  luma(x: number, y: number): number
  /** Of the whole picture. */
  blue: number
  red: number
}

export interface FrameSize {
  width: number
  height: number
}

const MACROBLOCK_PX = 16
const BASELINE = 66
/** Constrained: no tools that only baseline has. */
const CONSTRAINTS = 0xc0
const LEVEL = 31

const acrossOf = (pixels: number): number => Math.ceil(pixels / MACROBLOCK_PX)

/** NAL unit of a type, its bytes kept from looking like a start code (section 7.4.1). */
function nalUnit(header: number, payload: Buffer): Buffer {
  const bytes: number[] = [header]
  let zeros = 0
  for (const byte of payload) {
    if (zeros === 2 && byte <= 3) {
      bytes.push(3)
      zeros = 0
    }
    bytes.push(byte)
    zeros = byte === 0 ? zeros + 1 : 0
  }
  return Buffer.from(bytes)
}

/** Section 7.3.2.1; frames are numbered in 4 bits, and come in the order in which they are shown. */
export function sequenceParameters({ width, height }: FrameSize): Buffer {
  const [across, down] = [acrossOf(width), acrossOf(height)]
  const [cropX, cropY] = [(across * MACROBLOCK_PX - width) / 2, (down * MACROBLOCK_PX - height) / 2]
  const bits = new BitWriter().bits(BASELINE, 8).bits(CONSTRAINTS, 8).bits(LEVEL, 8)
  bits.unsigned(0).unsigned(0).unsigned(2).unsigned(1).bits(0, 1)
  bits
    .unsigned(across - 1)
    .unsigned(down - 1)
    .bits(1, 1)
    .bits(1, 1)
  // Cropped in units of two pixels.
  bits.bits(1, 1).unsigned(0).unsigned(cropX).unsigned(0).unsigned(cropY)
  return nalUnit(0x67, bits.bits(0, 1).end())
}

/** Section 7.3.2.2. The deblocking filter can be switched off in slices. */
export function pictureParameters(): Buffer {
  const bits = new BitWriter().unsigned(0).unsigned(0).bits(0, 1).bits(0, 1).unsigned(0)
  bits.unsigned(0).unsigned(0).bits(0, 1).bits(0, 2).signed(0).signed(0).signed(0)
  return nalUnit(0x68, bits.bits(1, 1).bits(0, 1).bits(0, 1).end())
}

const SLICE_P = 5
const SLICE_I = 7
const I_PCM = 25

/** A picture that needs no other (section 7.3.5, mb_type I_PCM). */
export function keyFrame(frame: Frame, { width, height }: FrameSize, idrPictureId: number): Buffer {
  const bits = new BitWriter().unsigned(0).unsigned(SLICE_I).unsigned(0).bits(0, 4).unsigned(idrPictureId)
  bits.bits(0, 1).bits(0, 1).signed(0).unsigned(1)
  const [across, down] = [acrossOf(width), acrossOf(height)]
  const chroma = Buffer.alloc(128, frame.blue).fill(frame.red, 64)
  for (let position = 0; position < across * down; position++) {
    const [left, top] = [(position % across) * MACROBLOCK_PX, Math.floor(position / across) * MACROBLOCK_PX]
    bits
      .unsigned(I_PCM)
      .align()
      .bytes(lumaOf(frame, left, top))
      .bytes(chroma)
  }
  return nalUnit(0x65, bits.end())
}

function lumaOf(frame: Frame, left: number, top: number): Uint8Array {
  const luma = new Uint8Array(MACROBLOCK_PX * MACROBLOCK_PX)
  for (let position = 0; position < luma.length; position++) {
    luma[position] = frame.luma(left + (position % MACROBLOCK_PX), top + Math.floor(position / MACROBLOCK_PX))
  }
  return luma
}

/** The picture before once more; `number` counts from the last key frame. */
export function repeatFrame({ width, height }: FrameSize, number: number): Buffer {
  const bits = new BitWriter()
    .unsigned(0)
    .unsigned(SLICE_P)
    .unsigned(0)
    .bits(number % 16, 4)
  // No override of the references, no reordering, none marked.
  bits.bits(0, 1).bits(0, 1).bits(0, 1).signed(0).unsigned(1)
  return nalUnit(0x41, bits.unsigned(acrossOf(width) * acrossOf(height)).end())
}
