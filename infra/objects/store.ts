import type { Readable } from 'node:stream'

/** What is known of a stored object. `etag` changes whenever the content does. */
export interface ObjectInfo {
  key: string
  sizeBytes: number
  etag: string
  contentType: string
  modifiedAt: Date
}

/** Both ends inclusive, as in RFC 9110 section 14.1.2; without `end`, to the object's end. */
export interface ByteRange {
  start: number
  end?: number
}

/** What a listing tells: S3's has no content types. */
export type ListedObject = Omit<ObjectInfo, 'contentType'>

export interface PutOptions {
  /** `application/octet-stream` unless told. */
  contentType?: string
  /**
   * Aborting leaves no object, no part and no temporary file behind; `put` rejects with the signal's reason.
   * An abort after the body's last byte can come too late: then `put` resolves, and the object is there.
   */
  signal?: AbortSignal
  /** Write only where no object is there yet; else throws PreconditionFailed. */
  ifAbsent?: boolean
  /** Write only over the object with this etag; else throws PreconditionFailed. */
  ifMatch?: string
}

export interface GetOptions {
  range?: ByteRange
  signal?: AbortSignal
}

export interface ObjectReading {
  info: ObjectInfo
  /** The bytes of the asked range; destroying it frees everything behind it. */
  body: Readable
}

export interface ListOptions {
  prefix: string
  /** Only keys after this one, in byte order. */
  after?: string
  /** At most this many; 1,000 unless told. */
  limit?: number
}

export interface ObjectPage {
  objects: ListedObject[]
  hasMore: boolean
}

export interface UploadedPart {
  partNumber: number
  etag: string
  sizeBytes: number
}

export interface SignedUrlOptions {
  method: 'GET' | 'PUT'
  expiresInSeconds: number
}

/**
 * Bytes under keys. Keys are `/`-separated names of printable ASCII without empty, `.` or `..` segments,
 * 1,024 bytes at most (InvalidObjectKey otherwise). A put is atomic: readers see the old object or the new one, whole.
 * Every method can fail with Unavailable, where the store does not answer as it should: the same call may succeed later.
 * Every implementation passes the suite in test/infra/objects.
 */
export interface ObjectStore {
  /**
   * Streams `body` in with bounded memory; where that fails, the body is destroyed or was not touched at all.
   * Errors: PreconditionFailed, InvalidContentType, or what the body's stream fails with.
   */
  put(key: string, body: Readable | Uint8Array, options?: PutOptions): Promise<ObjectInfo>
  /** Errors: ObjectNotFound, RangeNotSatisfiable. */
  get(key: string, options?: GetOptions): Promise<ObjectReading>
  /** Undefined where there is no such object. */
  head(key: string): Promise<ObjectInfo | undefined>
  /** Deleting what is not there is not an error. */
  delete(key: string): Promise<void>
  /** Errors: ObjectNotFound of the source. */
  copy(fromKey: string, toKey: string): Promise<ObjectInfo>
  /** In byte order of the keys. */
  list(options: ListOptions): Promise<ObjectPage>
  createMultipartUpload(key: string, contentType?: string): Promise<string>
  /** Parts are numbered from 1; a repeated number replaces the part. Errors: UploadNotFound. */
  putPart(key: string, uploadId: string, partNumber: number, body: Readable | Uint8Array): Promise<UploadedPart>
  /**
   * Joins the parts, given in ascending order of their numbers; each but the last holds 5 MiB at least.
   * Errors: UploadNotFound, InvalidPart.
   */
  completeMultipartUpload(
    key: string,
    uploadId: string,
    parts: Pick<UploadedPart, 'partNumber' | 'etag'>[],
  ): Promise<ObjectInfo>
  /** Aborting what is not there is not an error. */
  abortMultipartUpload(key: string, uploadId: string): Promise<void>
  /**
   * A link past the API, to the store itself, that a client without credentials can use until it expires: in 7 days at
   * most (RangeError). Undefined where the store is no server: then bytes go through an operation and its signed link.
   */
  signedUrl(key: string, options: SignedUrlOptions): Promise<string | undefined>
  /** Resolves where the store can be read and written; else rejects with what is wrong. */
  check(): Promise<void>
  /** Removes what crashed uploads left and nobody touched for 24 hours. Resolves to how many things it removed. */
  removeLeftovers(): Promise<number>
}

export type ObjectErrorCode =
  | 'ObjectNotFound'
  | 'PreconditionFailed'
  | 'RangeNotSatisfiable'
  | 'InvalidObjectKey'
  | 'InvalidContentType'
  | 'UploadNotFound'
  | 'InvalidPart'
  | 'Unavailable'

export class ObjectStoreError extends Error {
  readonly code: ObjectErrorCode
  constructor(code: ObjectErrorCode, message: string) {
    super(message)
    this.name = 'ObjectStoreError'
    this.code = code
  }
}

const KEY_SEGMENT = /^(?!\.{1,2}$)[\x21-\x2e\x30-\x7e]+$/

/** Throws InvalidObjectKey unless the key keeps the rules above. */
export function requireObjectKey(key: string): void {
  const valid = key.length > 0 && key.length <= 1024 && key.split('/').every(segment => KEY_SEGMENT.test(segment))
  if (!valid)
    throw new ObjectStoreError('InvalidObjectKey', 'object keys are printable ASCII names separated by single slashes')
}

export const DEFAULT_CONTENT_TYPE = 'application/octet-stream'
export const LEFTOVER_AGE_MS = 24 * 60 * 60 * 1000
/** S3's limits, kept by every implementation. */
export const MIN_PART_BYTES = 5 * 1024 * 1024
const MAX_PARTS = 10_000
const MAX_LINK_SECONDS = 7 * 24 * 60 * 60

/** Throws InvalidContentType unless it can travel in a header: 1 to 255 printable ASCII characters. */
export function requireContentType(contentType: string): void {
  if (/^[\x20-\x7e]{1,255}$/.test(contentType)) return
  throw new ObjectStoreError('InvalidContentType', 'a content type is 1 to 255 printable ASCII characters')
}

/** Throws RangeNotSatisfiable where no object could have this range. */
export function requireByteRange({ start, end = start }: ByteRange): void {
  if (Number.isSafeInteger(start) && Number.isSafeInteger(end) && start >= 0 && end >= start) return
  throw new ObjectStoreError('RangeNotSatisfiable', 'a range is two whole numbers of bytes, the first not the larger')
}

/** Throws InvalidPart unless parts are numbered from 1 to 10,000. */
export function requirePartNumber(partNumber: number): void {
  if (Number.isInteger(partNumber) && partNumber >= 1 && partNumber <= MAX_PARTS) return
  throw new ObjectStoreError('InvalidPart', `parts are numbered from 1 to ${MAX_PARTS}`)
}

/** Throws InvalidPart unless there is a part, and every number is larger than the one before. */
export function requireAscendingParts(parts: Pick<UploadedPart, 'partNumber'>[]): void {
  const numbers = parts.map(part => part.partNumber)
  numbers.forEach(requirePartNumber)
  if (numbers.length > 0 && numbers.every((number, i) => i === 0 || number > (numbers[i - 1] ?? 0))) return
  throw new ObjectStoreError('InvalidPart', 'parts are given in ascending order of their numbers, one at least')
}

/** Throws RangeError unless a link can live that long. */
export function requireLinkLifetime(expiresInSeconds: number): void {
  if (Number.isInteger(expiresInSeconds) && expiresInSeconds >= 1 && expiresInSeconds <= MAX_LINK_SECONDS) return
  throw new RangeError(`a signed URL lives 1 to ${MAX_LINK_SECONDS} seconds`)
}
