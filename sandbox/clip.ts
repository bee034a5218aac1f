import { keyFrame, pictureParameters, repeatFrame, sequenceParameters, type FrameSize } from './h264.ts'
import { labelOf } from './label.ts'
import { mp4Of } from './mp4.ts'

const FRAMES_PER_SECOND = 12
const SQUARES = 8
const LUMA = { label: 235, ground: 24, light: 150, dark: 110 }

/** A real clip: squares that move on once a second, in a colour of the seed, with what it is written on it. MP4, H.264. */
export function drawnClip(size: FrameSize, seconds: number, seed: number): Buffer {
  const frames = Array.from({ length: seconds * FRAMES_PER_SECOND }, (_, position) => {
    const inSecond = position % FRAMES_PER_SECOND
    const second = Math.floor(position / FRAMES_PER_SECOND)
    return inSecond === 0 ? keyFrame(pictureOf(size, second, seed), size, second % 2) : repeatFrame(size, inSecond)
  })
  return mp4Of({
    ...size,
    framesPerSecond: FRAMES_PER_SECOND,
    sequenceParameters: sequenceParameters(size),
    pictureParameters: pictureParameters(),
    frames,
    keyFrames: Array.from({ length: seconds }, (_, second) => second * FRAMES_PER_SECOND),
  })
}

function pictureOf(size: FrameSize, second: number, seed: number) {
  const side = Math.max(1, Math.round(size.width / SQUARES))
  const label = labelOf(`SANDBOX ${size.width}x${size.height} ${second + 1}s`, size.width)
  const [left, top] = [Math.floor((size.width - label.width) / 2), Math.floor((size.height - label.height) / 2)]
  return {
    luma: (x: number, y: number) => {
      const written = label.at(x - left, y - top)
      if (written !== undefined) return written ? LUMA.label : LUMA.ground
      return (Math.floor(x / side) + Math.floor(y / side) + second) % 2 === 0 ? LUMA.light : LUMA.dark
    },
    blue: 80 + (seed & 0x5f),
    red: 80 + ((seed >>> 8) & 0x5f),
  }
}
