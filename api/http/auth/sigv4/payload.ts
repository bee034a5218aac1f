import { createHash, type Hash } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'
import { CHECKSUMS, hashChecksum, type Checksum } from '../../../../infra/crypto/checksums.ts'
import { headersOf, sha256Hex, signatureOver, type RawRequest } from './canonical.ts'
import { ChunkReader, type ChunkPart } from './chunks.ts'
import { SigV4Failure, type SigV4Code } from './failure.ts'
import { isSame, UNSIGNED_PAYLOAD, type SignedRequest } from './verify.ts'

const CHUNKED = new Map([
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD', { isSigned: true, hasTrailer: false }],
  ['STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER', { isSigned: true, hasTrailer: true }],
  ['STREAMING-UNSIGNED-PAYLOAD-TRAILER', { isSigned: false, hasTrailer: true }],
])
const CHECKSUM_PREFIX = 'x-amz-checksum-'
const TRAILER_SIGNATURE = 'x-amz-trailer-signature'
const EMPTY_HASH = sha256Hex('')

type Signed = Pick<SignedRequest<unknown>, 'payloadHash' | 'seed'>

/**
 * The content of a signed request's body: pipe the body through it. It fails before its end where the content is not
 * what was signed, or not what a checksum of its headers or trailer says; so what has come is to be kept only when it
 * has ended. Holds no more than a line of the body. Errors, at once or as the stream's: SigV4Failure.
 */
export function verifiedBody(request: RawRequest, signed: Signed): Transform {
  const checks = new ContentChecks(request)
  const form = CHUNKED.get(signed.payloadHash)
  if (form !== undefined) return new ChunkedBody(request, signed, form, checks)
  if (signed.payloadHash.startsWith('STREAMING-'))
    throw new SigV4Failure('InvalidRequest', `Payloads of the form ${signed.payloadHash} are not taken.`)
  checks.requireNoTrailer()
  return new PlainBody(signed.payloadHash, checks)
}

/** The checksums that a request names: at most one of S3's, in a header or announced for the trailer, and an MD5. */
class ContentChecks {
  readonly #checks: { checksum: Checksum; expected: string | undefined; code: SigV4Code }[] = []
  /** Of the trailer, where it was announced. */
  readonly #announced: string | undefined

  constructor(request: RawRequest) {
    const headers = headersOf(request)
    const announced = (headers.get('x-amz-trailer') ?? []).flatMap(list => list.split(','))
    const names = announced.map(name => name.trim().toLowerCase()).filter(name => name !== '')
    const inHeaders = [...headers].filter(([name]) => isChecksum(name))
    if (names.length + inHeaders.length > 1)
      throw new SigV4Failure('InvalidRequest', 'A request has one checksum, in a header or in its trailer.')
    this.#announced = names[0]
    for (const name of names) this.#add(name, undefined)
    for (const [name, values] of inHeaders) this.#add(name, single(values))
    const md5 = headers.get('content-md5')
    if (md5 !== undefined)
      this.#checks.push({ checksum: hashChecksum('md5'), expected: digestOf(single(md5), 16), code: 'BadDigest' })
  }

  #add(name: string, value: string | undefined): void {
    const make = CHECKSUMS[name.slice(CHECKSUM_PREFIX.length) as keyof typeof CHECKSUMS]
    if (!isChecksum(name) || make === undefined)
      throw new SigV4Failure('InvalidRequest', `The checksum ${name.slice(0, 64)} is not known.`)
    const checksum = make()
    const expected = value === undefined ? undefined : digestOf(value, make().digest().length)
    this.#checks.push({ checksum, expected, code: 'BadDigest' })
  }

  update(bytes: Uint8Array): void {
    for (const { checksum } of this.#checks) checksum.update(bytes)
  }

  requireNoTrailer(): void {
    if (this.#announced !== undefined)
      throw new SigV4Failure('InvalidRequest', 'A trailer comes in the forms of payload that have one.')
  }

  /** Errors: MalformedTrailerError for another trailer than was announced; BadDigest. */
  finish(trailer: ReadonlyMap<string, string>): void {
    const names = [...trailer.keys()].filter(name => name !== TRAILER_SIGNATURE)
    if (names.length > 1 || names[0] !== this.#announced) throw new SigV4Failure('MalformedTrailerError')
    for (const { checksum, expected, code } of this.#checks) {
      const given = expected ?? trailer.get(this.#announced ?? '')
      if (checksum.digest().toString('base64') !== given) throw new SigV4Failure(code)
    }
  }
}

/** `x-amz-checksum-type` and `-algorithm` say how others are meant. */
const isChecksum = (name: string): boolean =>
  name.startsWith(CHECKSUM_PREFIX) && !['type', 'algorithm', 'mode'].includes(name.slice(CHECKSUM_PREFIX.length))

function single(values: readonly string[]): string {
  const [value = '', ...others] = values
  if (others.length > 0) throw new SigV4Failure('InvalidRequest', 'A checksum is given more than once.')
  return value
}

/** Base64 of just so many bytes, in its one spelling. Errors: InvalidDigest. */
function digestOf(text: string, bytes: number): string {
  const digest = Buffer.from(text, 'base64')
  if (digest.length !== bytes || digest.toString('base64') !== text.trim()) throw new SigV4Failure('InvalidDigest')
  return text.trim()
}

class PlainBody extends Transform {
  readonly #payloadHash: string
  readonly #checks: ContentChecks
  readonly #hash: Hash | undefined

  constructor(payloadHash: string, checks: ContentChecks) {
    super()
    this.#payloadHash = payloadHash
    this.#checks = checks
    this.#hash = payloadHash === UNSIGNED_PAYLOAD ? undefined : createHash('sha256')
  }

  override _transform(part: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.#hash?.update(part)
    this.#checks.update(part)
    done(null, part)
  }

  override _flush(done: TransformCallback): void {
    attempt(done, () => {
      if (this.#hash !== undefined && !isSame(this.#hash.digest('hex'), this.#payloadHash))
        throw new SigV4Failure('XAmzContentSHA256Mismatch')
      this.#checks.finish(new Map())
    })
  }
}

class ChunkedBody extends Transform {
  readonly #reader = new ChunkReader()
  readonly #seed: Signed['seed']
  readonly #form: { isSigned: boolean; hasTrailer: boolean }
  readonly #checks: ContentChecks
  /** Of the content, that are still to come. */
  #leftBytes: number
  /** Each signature goes on from the one before. */
  #previous: string
  #given: string | undefined
  #hash = createHash('sha256')

  constructor(
    request: RawRequest,
    { seed }: Signed,
    form: { isSigned: boolean; hasTrailer: boolean },
    checks: ContentChecks,
  ) {
    super()
    const [length = '', ...others] = headersOf(request).get('x-amz-decoded-content-length') ?? []
    if (!/^\d{1,15}$/.test(length) || others.length > 0)
      throw new SigV4Failure('InvalidRequest', 'x-amz-decoded-content-length is missing or not well-formed.')
    if (!form.hasTrailer) checks.requireNoTrailer()
    this.#leftBytes = Number(length)
    this.#seed = seed
    this.#previous = seed.signature
    this.#form = form
    this.#checks = checks
  }

  override _transform(part: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    attempt(done, () => {
      // Tiny chunks would otherwise leave as as many writes.
      const content = [...this.#reader.take(part)].flatMap(one => this.#accept(one) ?? [])
      if (content.length > 0) this.push(content.length === 1 ? content[0] : Buffer.concat(content))
    })
  }

  override _flush(done: TransformCallback): void {
    attempt(done, () => {
      const trailer = this.#reader.finish()
      if (this.#leftBytes !== 0) throw new SigV4Failure('IncompleteBody')
      if (!this.#form.hasTrailer && trailer.size > 0) throw new SigV4Failure('MalformedTrailerError')
      if (this.#form.isSigned && this.#form.hasTrailer) this.#requireTrailerSignature(trailer)
      this.#checks.finish(trailer)
    })
  }

  #accept(part: ChunkPart): Buffer | undefined {
    if (part.kind === 'begin') return this.#begin(part)
    if (part.kind === 'end') return this.#end()
    if (this.#form.isSigned) this.#hash.update(part.bytes)
    this.#checks.update(part.bytes)
    return part.bytes
  }

  #begin({ sizeBytes, signature }: Extract<ChunkPart, { kind: 'begin' }>): undefined {
    this.#leftBytes -= sizeBytes
    if (this.#leftBytes < 0) throw new SigV4Failure('IncompleteBody')
    if ((signature !== undefined) !== this.#form.isSigned)
      throw new SigV4Failure('InvalidRequest', 'Chunks are signed in the forms of payload that say so.')
    this.#given = signature
    this.#hash = createHash('sha256')
  }

  #end(): undefined {
    if (!this.#form.isSigned) return
    this.#require('AWS4-HMAC-SHA256-PAYLOAD', [EMPTY_HASH, this.#hash.digest('hex')], this.#given)
  }

  #requireTrailerSignature(trailer: ReadonlyMap<string, string>): void {
    const fields = [...trailer].filter(([name]) => name !== TRAILER_SIGNATURE).sort(([a], [b]) => (a < b ? -1 : 1))
    const text = fields.map(([name, value]) => `${name}:${value}\n`).join('')
    this.#require('AWS4-HMAC-SHA256-TRAILER', [sha256Hex(text)], trailer.get(TRAILER_SIGNATURE))
  }

  #require(algorithm: string, hashes: readonly string[], given = ''): void {
    const { key, scope } = this.#seed
    const expected = signatureOver(key, algorithm, scope, [this.#previous, ...hashes])
    if (!isSame(expected, given)) throw new SigV4Failure('SignatureDoesNotMatch')
    this.#previous = expected
  }
}

/** Ends a stream's step, with what the work throws. */
function attempt(done: TransformCallback, work: () => void): void {
  try {
    work()
    done()
  } catch (error) {
    done(error as Error)
  }
}
