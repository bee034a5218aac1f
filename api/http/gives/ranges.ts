import type { Readable } from 'node:stream'
import { RangeNotSatisfiable } from '../../../domain/core/errors.ts'
import type { ByteRange } from '../../../infra/objects/store.ts'
import { Bytes } from './gives.ts'

/**
 * The range of a Range header (RFC 9110 section 14.2) in an object of that size. Undefined where the whole is meant:
 * no header, another unit, several ranges, or one that is not well-formed. Errors: 416 where it lies outside.
 */
export function parseRange(header: string | undefined, sizeBytes: number): Required<ByteRange> | undefined {
  const text = header?.trim() ?? ''
  const range = suffixRange(text, sizeBytes) ?? firstLastRange(text, sizeBytes)
  if (range === undefined) return undefined
  if (range.start < sizeBytes && range.start <= range.end) return range
  throw new RangeNotSatisfiable(sizeBytes)
}

/** Bytes that can be asked for in part: 200 with the whole, 206 with a range. */
export function rangeReply(
  of: { sizeBytes: number; contentType: string; etag: string },
  body: Readable,
  range: ByteRange | undefined,
  headers: Record<string, string> = {},
): Bytes {
  const end = range?.end ?? of.sizeBytes - 1
  return new Bytes(body, {
    status: range === undefined ? 200 : 206,
    contentType: of.contentType,
    headers: {
      'accept-ranges': 'bytes',
      'content-length': String(range === undefined ? of.sizeBytes : end - range.start + 1),
      etag: `"${of.etag.replaceAll('"', '')}"`,
      ...(range === undefined ? {} : { 'content-range': `bytes ${range.start}-${end}/${of.sizeBytes}` }),
      ...headers,
    },
  })
}

/** `bytes=-500`: the last 500. */
function suffixRange(text: string, sizeBytes: number): Required<ByteRange> | undefined {
  const match = /^bytes=-(\d{1,15})$/.exec(text)
  if (match === null) return undefined
  const wanted = Number(match[1])
  return { start: wanted === 0 ? sizeBytes : Math.max(0, sizeBytes - wanted), end: sizeBytes - 1 }
}

/** `bytes=0-499` or `bytes=500-`. A range that ends before it begins is not well-formed. */
function firstLastRange(text: string, sizeBytes: number): Required<ByteRange> | undefined {
  const match = /^bytes=(\d{1,15})-(\d{0,15})$/.exec(text)
  if (match === null) return undefined
  const start = Number(match[1])
  const last = match[2] === '' ? sizeBytes - 1 : Number(match[2])
  if (match[2] !== '' && last < start) return undefined
  return { start, end: Math.min(last, sizeBytes - 1) }
}
