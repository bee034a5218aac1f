import { SigV4Failure } from './failure.ts'

const HEX = '0123456789ABCDEF'
const UNRESERVED = new Set(Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~'))
const SLASH = 0x2f
const PERCENT = 0x25

/** Bytes in the one spelling that signatures are made of (RFC 3986 section 2.3, in capitals). */
export function encodeBytes(bytes: Uint8Array, keepsSlashes: boolean): string {
  let text = ''
  for (const byte of bytes) {
    if (UNRESERVED.has(byte) || (keepsSlashes && byte === SLASH)) text += String.fromCharCode(byte)
    else text += `%${HEX[byte >> 4]}${HEX[byte & 15]}`
  }
  return text
}

/** The bytes of a percent-encoded text. Errors: InvalidURI for a `%` without two digits. */
export function decodeText(text: string): Buffer {
  const bytes = Buffer.from(text)
  let length = 0
  for (let at = 0; at < bytes.length; at += 1) {
    let byte = bytes[at] as number
    if (byte === PERCENT) {
      const digits = bytes.toString('latin1', at + 1, at + 3)
      if (!/^[0-9a-fA-F]{2}$/.test(digits)) throw new SigV4Failure('InvalidURI')
      byte = Number.parseInt(digits, 16)
      at += 2
    }
    bytes[length] = byte
    length += 1
  }
  return bytes.subarray(0, length)
}
