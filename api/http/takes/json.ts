import type { IncomingMessage } from 'node:http'
import type { Transform } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { createBrotliDecompress, createUnzip } from 'node:zlib'
import { badRequest, DomainError } from '../../../domain/core/errors.ts'
import { JsonBudget, MOST_STRUCTURES } from '../../../domain/core/json-budget.ts'
import { isTooDeep } from '../../../domain/core/text.rules.ts'
import type { ParsedJson } from '../../../domain/inference/threads/tasks.ts'
import { ByteBlocks } from '../../../infra/byte-blocks.ts'
import { MalformedJson } from '../errors/kinds.ts'

/** Larger ones are parsed in a thread: this many bytes take up to some 15 ms. */
const PARSED_HERE_BYTES = 1024 * 1024

/** What is done with bodies that are too large for the event loop. */
export interface LargeBodies {
  /** Told before so many bytes are held: either the length that was given, or the most there may be. Errors: 503. */
  hold(bytes: number): void
  parse(blocks: Uint8Array<ArrayBuffer>[]): Promise<ParsedJson>
}

/** The request's JSON value. Errors: 400, 413 (also for what it holds: JsonBudget), 415, 503, those of the thread. */
export async function readJsonBody(request: IncomingMessage, limitBytes: number, large: LargeBodies): Promise<unknown> {
  requireJsonType(request)
  const body = await collect(request, decoderOf(request), limitBytes, large)
  if (body.sizeBytes === 0) throw badRequest('The request needs a JSON body.')
  const { blocks } = body
  const value = blocks === undefined ? parse(body.bytes) : valueOf(await large.parse(blocks))
  // A turn for others before it is checked and worked with.
  if (body.sizeBytes > MOST_STRUCTURES) await setImmediate()
  return value
}

/** All bytes, decoded where they come in a content encoding; those that arrive are counted before they are kept. */
function collect(
  request: IncomingMessage,
  decoder: Transform | undefined,
  limitBytes: number,
  large: LargeBodies,
): Promise<HeldBody> {
  const length = Number(request.headers['content-length'] ?? 0)
  if (length > limitBytes) throw tooLarge(limitBytes)
  const mostBytes = decoder === undefined && length > 0 ? length : limitBytes
  if (length > PARSED_HERE_BYTES) large.hold(mostBytes)
  const source = decoder === undefined ? request : request.pipe(decoder)
  return new Promise((resolve, reject) => {
    const held = new HeldBody(limitBytes, () => length > PARSED_HERE_BYTES || large.hold(mostBytes))
    const refuse = (error: unknown) => {
      source.off('data', onData)
      request.unpipe().pause()
      decoder?.destroy()
      reject(error)
    }
    const onData = (part: Buffer) => {
      try {
        held.take(part)
      } catch (error) {
        refuse(error)
      }
    }
    source.on('data', onData)
    source.once('end', () => resolve(held))
    decoder?.once('error', () => refuse(badRequest('The body could not be read.')))
    request.once('close', () => request.complete || refuse(badRequest('The body could not be read.')))
  })
}

/** Some bytes as they came; more than are parsed here as blocks. */
class HeldBody {
  sizeBytes = 0
  private parts: Buffer[] = []
  private large: ByteBlocks | undefined
  private budget: JsonBudget | undefined
  private readonly limitBytes: number
  private readonly becomesLarge: () => void

  constructor(limitBytes: number, becomesLarge: () => void) {
    this.limitBytes = limitBytes
    this.becomesLarge = becomesLarge
  }

  /** Errors: 413, 503. */
  take(part: Buffer): void {
    this.sizeBytes += part.length
    if (this.sizeBytes > this.limitBytes) throw tooLarge(this.limitBytes)
    if (this.large !== undefined) this.large.add(part)
    else this.parts.push(part)
    this.count(part)
    if (this.large === undefined && this.sizeBytes > PARSED_HERE_BYTES) this.enlarge()
  }

  get bytes(): Buffer {
    return this.parts.length === 1 ? (this.parts[0] as Buffer) : Buffer.concat(this.parts)
  }

  /** Undefined where it is to be parsed here. */
  get blocks(): Uint8Array<ArrayBuffer>[] | undefined {
    return this.large?.blocks
  }

  private count(part: Buffer): void {
    // Fewer bytes cannot hold more than the budget allows, but for levels, which are looked at later.
    if (this.sizeBytes <= MOST_STRUCTURES) return
    if (this.budget !== undefined) return this.budget.take(part)
    this.budget = new JsonBudget()
    for (const earlier of this.parts) this.budget.take(earlier)
  }

  private enlarge(): void {
    this.becomesLarge()
    this.large = new ByteBlocks()
    for (const part of this.parts) this.large.add(part)
    this.parts = []
  }
}

/** What undoes a body's content encoding (RFC 9110 section 8.4). Errors: 415. */
function decoderOf({ headers }: IncomingMessage): Transform | undefined {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (encoding === 'identity') return undefined
  if (['gzip', 'x-gzip', 'deflate'].includes(encoding)) return createUnzip()
  if (encoding === 'br') return createBrotliDecompress()
  throw unsupportedType('The content encoding is not supported.')
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** `application/json`, or a type that ends in `+json` (RFC 6839), with whatever parameters. */
const JSON_TYPE = /^application\/(json|[\w.!#$&^-]+\+json)\s*(;|$)/i

/** Whether the content type is JSON's. */
export const isJsonType = (contentType: string): boolean =>
  // What nearly all send, and by far the cheapest to tell.
  contentType === 'application/json' || JSON_TYPE.test(contentType)

function requireJsonType({ headers }: IncomingMessage): void {
  if (headers['content-length'] === '0' || !hasBody(headers)) throw badRequest('The request needs a JSON body.')
  if (!isJsonType(headers['content-type'] ?? '')) throw unsupportedType('The body must be `application/json`.')
}

const hasBody = (headers: IncomingMessage['headers']): boolean =>
  headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined

function parse(bytes: Buffer): unknown {
  const value = parseJson(textOf(bytes))
  if (isTooDeep(value)) throw badRequest('The body is nested too deeply.')
  return value
}

function valueOf(parsed: ParsedJson): unknown {
  if ('value' in parsed) return parsed.value
  if ('refusal' in parsed) throw badRequest(parsed.refusal)
  throw parsed.fault === 'not_utf8' ? notUtf8() : notJson()
}

const notUtf8 = () => new MalformedJson('The body is not valid UTF-8.')
const notJson = () => new MalformedJson('The body is not valid JSON.')

function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw notUtf8()
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw notJson()
  }
}

const unsupportedType = (message: string): DomainError =>
  new DomainError(415, 'bad_request', message, { type: 'unsupported_media_type' })

const tooLarge = (limitBytes: number): DomainError =>
  new DomainError(413, 'bad_request', `The body is larger than ${limitBytes} bytes.`, { type: 'payload_too_large' })
