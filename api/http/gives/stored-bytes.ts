import type { Readable } from 'node:stream'
import { DomainError, RangeNotSatisfiable } from '../../../domain/core/errors.ts'
import type { ByteRange } from '../../../infra/objects/store.ts'
import { judgeConditions, type Validators } from './conditional.ts'
import { Bytes } from './gives.ts'

/** Bytes that lie ready, of which nothing is opened before it is known that they are wanted. */
export interface StoredBytes extends Validators {
  sizeBytes: number
  contentType: string
  /** Asked again before it is used, and kept by nobody but its caller, unless told otherwise. */
  cacheControl?: string
  headers?: Record<string, string>
  open(range: ByteRange | undefined): Promise<Readable>
}

/** Whose keys decide who may read. */
const OWN_AND_ASKED = 'private, no-cache'

/**
 * 200 with the whole, 206 with a range, 304 where the client has it already, or the head alone (RFC 9110 sections 13 and
 * 14). Ranges are GET's alone. Errors: 412 where a precondition fails; 416 where the range lies outside; those of `open`.
 */
export async function storedBytes(
  request: { isHead: boolean; header: (name: string) => string | undefined },
  stored: StoredBytes,
): Promise<Bytes> {
  const verdict = judgeConditions(request.header, stored)
  if (verdict === 'failed') throw preconditionFailed()
  if (verdict === 'not_modified') return new Bytes(undefined, { status: 304, headers: validatorHeaders(stored) })
  const isWhole = verdict === 'whole' || request.isHead
  const range = isWhole ? undefined : parseRange(request.header('range'), stored.sizeBytes)
  const body = request.isHead ? undefined : await stored.open(range)
  return new Bytes(body, {
    status: range === undefined ? 200 : 206,
    contentType: stored.contentType,
    headers: headersOf(stored, range),
  })
}

function headersOf(stored: StoredBytes, range: Required<ByteRange> | undefined): Record<string, string> {
  const { sizeBytes } = stored
  const headers = { 'accept-ranges': 'bytes', ...validatorHeaders(stored), ...stored.headers }
  if (range === undefined) return { ...headers, 'content-length': String(sizeBytes) }
  const { start, end } = range
  return {
    ...headers,
    'content-length': String(end - start + 1),
    'content-range': `bytes ${start}-${end}/${sizeBytes}`,
  }
}

const validatorHeaders = ({ etag, modifiedAt, cacheControl = OWN_AND_ASKED }: StoredBytes): Record<string, string> => ({
  etag: `"${etag}"`,
  'cache-control': cacheControl,
  ...(modifiedAt === undefined ? {} : { 'last-modified': modifiedAt.toUTCString() }),
})

const preconditionFailed = (): DomainError =>
  new DomainError(412, 'bad_request', 'The content is not the one that the request names.', {
    type: 'precondition_failed',
  })

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
