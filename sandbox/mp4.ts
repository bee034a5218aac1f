import type { FrameSize } from './h264.ts'

export interface Track extends FrameSize {
  framesPerSecond: number
  sequenceParameters: Buffer
  pictureParameters: Buffer
  /** NAL units, one a frame. */
  frames: readonly Buffer[]
  /** Places of frames that need no other. */
  keyFrames: readonly number[]
}

type Field = number | Buffer | string

/** Big-endian fields: numbers are of four bytes. */
const join = (...fields: Field[]): Buffer =>
  Buffer.concat(
    fields.map(field => {
      if (typeof field === 'string') return Buffer.from(field, 'latin1')
      return typeof field === 'number' ? Buffer.from([field >>> 24, field >>> 16, field >>> 8, field]) : field
    }),
  )
const short = (...values: number[]): Buffer => Buffer.from(values.flatMap(value => [value >>> 8, value]))
const byte = (...values: number[]): Buffer => Buffer.from(values)

function box(type: string, ...fields: Field[]): Buffer {
  const body = join(...fields)
  return join(body.length + 8, type, body)
}
/** With version 0 and these flags. */
const fullBox = (type: string, flags: number, ...fields: Field[]): Buffer => box(type, flags, ...fields)

const IDENTITY = join(0x10000, 0, 0, 0, 0x10000, 0, 0, 0, 0x40000000)

/** An MP4 file of one video track (ISO/IEC 14496-12 and -15), its index before its data, so that it plays as it comes. */
export function mp4Of(track: Track): Buffer {
  const data = Buffer.concat(track.frames.map(frame => join(frame.length, frame)))
  const type = box('ftyp', 'isom', 0x200, 'isomiso2avc1mp41')
  // The index is as long wherever its data begins.
  const offset = type.length + movieBox(track, 0).length + 8
  return Buffer.concat([type, movieBox(track, offset), box('mdat', data)])
}

function movieBox(track: Track, dataOffset: number): Buffer {
  const { width, height, framesPerSecond, frames } = track
  const header = fullBox(
    'mvhd',
    0,
    0,
    0,
    framesPerSecond,
    frames.length,
    0x10000,
    short(0x100, 0),
    0,
    0,
    IDENTITY,
    Buffer.alloc(24),
    2,
  )
  const trackHeader = fullBox(
    'tkhd',
    3,
    0,
    0,
    1,
    0,
    frames.length,
    0,
    0,
    short(0, 0, 0, 0),
    IDENTITY,
    width << 16,
    height << 16,
  )
  const media = box(
    'mdia',
    fullBox('mdhd', 0, 0, 0, framesPerSecond, frames.length, short(0x55c4, 0)),
    fullBox('hdlr', 0, 0, 'vide', 0, 0, 0, 'video\0'),
    box('minf', fullBox('vmhd', 1, short(0, 0, 0, 0)), dataInformation(), sampleTable(track, dataOffset)),
  )
  return box('moov', header, box('trak', trackHeader, media))
}

const dataInformation = (): Buffer => box('dinf', fullBox('dref', 0, 1, fullBox('url ', 1)))

function sampleTable(track: Track, dataOffset: number): Buffer {
  const { frames, keyFrames } = track
  return box(
    'stbl',
    fullBox('stsd', 0, 1, sampleEntry(track)),
    fullBox('stts', 0, 1, frames.length, 1),
    fullBox('stss', 0, keyFrames.length, ...keyFrames.map(position => position + 1)),
    fullBox('stsc', 0, 1, 1, frames.length, 1),
    // Each sample has its length before it.
    fullBox('stsz', 0, 0, frames.length, ...frames.map(frame => frame.length + 4)),
    fullBox('stco', 0, 1, dataOffset),
  )
}

function sampleEntry({ width, height, sequenceParameters, pictureParameters }: Track): Buffer {
  const configuration = box(
    'avcC',
    byte(1, sequenceParameters[1] ?? 0, sequenceParameters[2] ?? 0, sequenceParameters[3] ?? 0, 0xff, 0xe1),
    short(sequenceParameters.length),
    sequenceParameters,
    byte(1),
    short(pictureParameters.length),
    pictureParameters,
  )
  const picture = join(short(width, height), 0x480000, 0x480000, 0, short(1), Buffer.alloc(32), short(24, 0xffff))
  return box('avc1', Buffer.alloc(6), short(1), Buffer.alloc(16), picture, configuration)
}
