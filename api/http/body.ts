import type { IncomingMessage } from 'node:http'
import type { Context } from 'koa'
import { HttpMethodEnum, koaBody } from 'koa-body'
import { badRequest, DomainError } from '../../domain/errors.ts'
import { isTooDeep } from '../../domain/text.rules.ts'

/** The request's JSON value. Errors: 400, 413, 415. */
export async function readJsonBody(ctx: Context, limitBytes: number): Promise<unknown> {
  requireJsonType(ctx)
  const isPlain = ctx.req.headers['content-encoding'] === undefined
  return parse(isPlain ? await plainBytes(ctx.req, limitBytes) : await decodedBytes(ctx, limitBytes))
}

/** A body that is not encoded. It could be left to koa-body, which takes four times as long for the usual small one. */
function plainBytes(request: IncomingMessage, limitBytes: number): Promise<Buffer> {
  if (Number(request.headers['content-length']) > limitBytes) throw tooLarge(limitBytes)
  return new Promise((resolve, reject) => {
    const parts: Buffer[] = []
    let sizeBytes = 0
    const onData = (part: Buffer) => {
      sizeBytes += part.length
      if (sizeBytes <= limitBytes) return void parts.push(part)
      request.off('data', onData).pause()
      reject(tooLarge(limitBytes))
    }
    request.on('data', onData)
    request.once('end', () => resolve(parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts)))
    request.once('close', () => request.complete || reject(badRequest('The body could not be read.')))
  })
}

/**
 * A body in a content encoding (RFC 9110 section 8.4). It comes as Latin-1, a byte a character: decoding it as UTF-8
 * here would replace what is none with U+FFFD unseen.
 */
async function decodedBytes(ctx: Context, limitBytes: number): Promise<Buffer> {
  const read = decoders.get(limitBytes) ?? decoder(limitBytes)
  decoders.set(limitBytes, read)
  await read(ctx, () => Promise.resolve()).catch((error: unknown) => {
    throw bodyError(error, limitBytes)
  })
  const body: unknown = ctx.request.body
  return Buffer.from(typeof body === 'string' ? body : '', 'latin1')
}

const utf8 = new TextDecoder('utf-8', { fatal: true })
const decoders = new Map<number, ReturnType<typeof decoder>>()

const decoder = (limitBytes: number) =>
  koaBody({
    json: false,
    urlencoded: false,
    text: true,
    textTypes: ['application/json', '+json'],
    textLimit: limitBytes,
    encoding: 'latin1',
    parsedMethods: [HttpMethodEnum.POST, HttpMethodEnum.PUT, HttpMethodEnum.PATCH, HttpMethodEnum.DELETE],
  })

function requireJsonType(ctx: Context): void {
  // What nearly all send, and by far the cheapest to tell.
  if (ctx.get('content-type') === 'application/json') return
  if (ctx.is('application/json', '+json') !== false && ctx.is('application/json', '+json') !== null) return
  if (ctx.get('content-length') === '' && ctx.get('transfer-encoding') === '')
    throw badRequest('The request needs a JSON body.')
  if (ctx.get('content-length') === '0') throw badRequest('The request needs a JSON body.')
  throw new DomainError(415, 'bad_request', 'The body must be `application/json`.', { type: 'unsupported_media_type' })
}

function parse(bytes: Buffer): unknown {
  if (bytes.length === 0) throw badRequest('The request needs a JSON body.')
  const value = parseJson(textOf(bytes))
  if (isTooDeep(value)) throw badRequest('The body is nested too deeply.')
  return value
}

function textOf(bytes: Buffer): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw badRequest('The body is not valid UTF-8.')
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw badRequest('The body is not valid JSON.')
  }
}

function bodyError(error: unknown, limitBytes: number): unknown {
  const type = error instanceof Error && 'type' in error ? error.type : undefined
  if (type === 'entity.too.large') return tooLarge(limitBytes)
  if (error instanceof Error && 'status' in error && error.status === 415) {
    return new DomainError(415, 'bad_request', 'The content encoding is not supported.', {
      type: 'unsupported_media_type',
    })
  }
  return badRequest('The body could not be read.')
}

const tooLarge = (limitBytes: number): DomainError =>
  new DomainError(413, 'bad_request', `The body is larger than ${limitBytes} bytes.`, { type: 'payload_too_large' })
