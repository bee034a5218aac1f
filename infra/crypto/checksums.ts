import { createHash } from 'node:crypto'
import { crc32 } from 'node:zlib'

/** A checksum over bytes as they come. */
export interface Checksum {
  update(bytes: Uint8Array): void
  /** Big-endian, as S3 writes it in base64. */
  digest(): Buffer
}

/** S3's checksums by the end of their header's name: `x-amz-checksum-crc32`. */
export const CHECKSUMS = {
  crc32: createCrc32,
  crc32c: createCrc32c,
  crc64nvme: createCrc64Nvme,
  sha1: () => hashChecksum('sha1'),
  sha256: () => hashChecksum('sha256'),
} satisfies Record<string, () => Checksum>

export const hashChecksum = (algorithm: 'md5' | 'sha1' | 'sha256'): Checksum => {
  const hash = createHash(algorithm)
  return { update: bytes => void hash.update(bytes), digest: () => hash.digest() }
}

function createCrc32(): Checksum {
  let value = 0
  return { update: bytes => void (value = crc32(bytes, value)), digest: () => bigEndian(value) }
}

function bigEndian(...words: number[]): Buffer {
  const bytes = Buffer.alloc(words.length * 4)
  words.forEach((word, at) => bytes.writeUInt32BE(word >>> 0, at * 4))
  return bytes
}

/** Castagnoli's polynomial, bits reversed (RFC 3720 section B.4). */
const CRC32C = 0x82f63b78
let crc32cTable: Uint32Array | undefined

function createCrc32c(): Checksum {
  const table = (crc32cTable ??= Uint32Array.from({ length: 256 }, (_, byte) => {
    let value = byte
    for (let bit = 0; bit < 8; bit += 1) value = (value >>> 1) ^ (value & 1 ? CRC32C : 0)
    return value >>> 0
  }))
  let value = 0xffffffff
  return {
    update: bytes => {
      let next = value
      for (const byte of bytes) next = (table[(next ^ byte) & 0xff] as number) ^ (next >>> 8)
      value = next
    },
    digest: () => bigEndian(~value),
  }
}

/** NVM Express' polynomial, bits reversed, in two halves: numbers of 64 bits are too slow. */
const CRC64_HIGH = 0x9a6c9329
const CRC64_LOW = 0xac4bc9b5
let crc64Tables: { high: Uint32Array; low: Uint32Array } | undefined

function createCrc64Nvme(): Checksum {
  const { high: highs, low: lows } = (crc64Tables ??= makeCrc64Tables())
  let high = 0xffffffff
  let low = 0xffffffff
  return {
    update: bytes => {
      for (const byte of bytes) {
        const at = (low ^ byte) & 0xff
        low = ((low >>> 8) | (high << 24)) ^ (lows[at] as number)
        high = (high >>> 8) ^ (highs[at] as number)
      }
    },
    digest: () => bigEndian(~high, ~low),
  }
}

function makeCrc64Tables() {
  const high = new Uint32Array(256)
  const low = new Uint32Array(256)
  for (let byte = 0; byte < 256; byte += 1) {
    let [highs, lows] = [0, byte]
    for (let bit = 0; bit < 8; bit += 1) {
      const isOdd = (lows & 1) === 1
      lows = (lows >>> 1) | (highs << 31)
      highs >>>= 1
      if (isOdd) [highs, lows] = [highs ^ CRC64_HIGH, lows ^ CRC64_LOW]
    }
    high[byte] = highs
    low[byte] = lows
  }
  return { high, low }
}
