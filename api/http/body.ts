import type { IncomingMessage } from 'node:http'
import type { Transform } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { createBrotliDecompress, createUnzip } from 'node:zlib'
import type { Context } from 'koa'
import { badRequest, DomainError } from '../../domain/errors.ts'
import { isTooDeep } from '../../domain/text.rules.ts'
import type { ParsedJson } from '../../domain/threads/tasks.ts'
import { BodyBudget, MOST_STRUCTURES } from './body-budget.ts'

/** Larger ones are parsed in a thread: this many bytes take up to some 15 ms. */
const PARSED_HERE_BYTES = 1024 * 1024

/** Parses what is too large for the event loop. */
export type ParseLarge = (bytes: ArrayBuffer) => Promise<ParsedJson>

/** The request's JSON value. Errors: 400, 413 (also for what it holds: BodyBudget), 415, those of the thread. */
export async function readJsonBody(ctx: Context, limitBytes: number, parseLarge: ParseLarge): Promise<unknown> {
  requireJsonType(ctx)
  const bytes = await collect(ctx.req, decoderOf(ctx.req), limitBytes)
  if (bytes.length === 0) throw badRequest('The request needs a JSON body.')
  const value = bytes.length > PARSED_HERE_BYTES ? valueOf(await parseLarge(bufferOf(bytes))) : parse(bytes)
  // A turn for others before it is checked and worked with.
  if (bytes.length > MOST_STRUCTURES) await setImmediate()
  return value
}

/** All bytes, decoded where they come in a content encoding; those that arrive are counted before they are kept. */
function collect(request: IncomingMessage, decoder: Transform | undefined, limitBytes: number): Promise<Buffer> {
  if (Number(request.headers['content-length']) > limitBytes) throw tooLarge(limitBytes)
  const source = decoder === undefined ? request : request.pipe(decoder)
  return new Promise((resolve, reject) => {
    const held = new HeldBody(limitBytes)
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
    source.once('end', () => resolve(held.bytes))
    decoder?.once('error', () => refuse(badRequest('The body could not be read.')))
    request.once('close', () => request.complete || refuse(badRequest('The body could not be read.')))
  })
}

class HeldBody {
  private readonly parts: Buffer[] = []
  private readonly limitBytes: number
  private sizeBytes = 0
  private budget: BodyBudget | undefined

  constructor(limitBytes: number) {
    this.limitBytes = limitBytes
  }

  /** Errors: 413. */
  take(part: Buffer): void {
    this.sizeBytes += part.length
    if (this.sizeBytes > this.limitBytes) throw tooLarge(this.limitBytes)
    this.parts.push(part)
    // Fewer bytes cannot hold more than the budget allows, but for levels, which are looked at later.
    if (this.sizeBytes <= MOST_STRUCTURES) return
    if (this.budget !== undefined) return this.budget.take(part)
    this.budget = new BodyBudget()
    for (const earlier of this.parts) this.budget.take(earlier)
  }

  get bytes(): Buffer {
    return this.parts.length === 1 ? (this.parts[0] as Buffer) : Buffer.concat(this.parts)
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

function requireJsonType(ctx: Context): void {
  // What nearly all send, and by far the cheapest to tell.
  if (ctx.get('content-type') === 'application/json') return
  if (ctx.is('application/json', '+json') !== false && ctx.is('application/json', '+json') !== null) return
  if (ctx.get('content-length') === '' && ctx.get('transfer-encoding') === '')
    throw badRequest('The request needs a JSON body.')
  if (ctx.get('content-length') === '0') throw badRequest('The request needs a JSON body.')
  throw unsupportedType('The body must be `application/json`.')
}

function parse(bytes: Buffer): unknown {
  const value = parseJson(textOf(bytes))
  if (isTooDeep(value)) throw badRequest('The body is nested too deeply.')
  return value
}

function valueOf(parsed: ParsedJson): unknown {
  if ('value' in parsed) return parsed.value
  throw parsed.fault === 'not_utf8' ? notUtf8() : notJson()
}

/** The bytes as they can be moved to a thread. */
const bufferOf = ({ buffer, byteOffset, length }: Buffer): ArrayBuffer =>
  (buffer.byteLength === length ? buffer : buffer.slice(byteOffset, byteOffset + length)) as ArrayBuffer

const notUtf8 = () => badRequest('The body is not valid UTF-8.')
const notJson = () => badRequest('The body is not valid JSON.')

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
