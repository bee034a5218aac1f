import type { Context } from 'koa'
import { HttpMethodEnum, koaBody } from 'koa-body'
import { badRequest, DomainError } from '../../domain/errors.ts'
import { isTooDeep } from '../../domain/text.rules.ts'

/**
 * Bodies are read as Latin-1, a byte a character, and decoded here: decoding in the parser would replace bad UTF-8
 * with U+FFFD unseen.
 */
function reader(limitBytes: number) {
  return koaBody({
    json: false,
    urlencoded: false,
    text: true,
    textTypes: ['application/json', '+json'],
    textLimit: limitBytes,
    encoding: 'latin1',
    parsedMethods: [HttpMethodEnum.POST, HttpMethodEnum.PUT, HttpMethodEnum.PATCH, HttpMethodEnum.DELETE],
  })
}

const readers = new Map<number, ReturnType<typeof reader>>()
const utf8 = new TextDecoder('utf-8', { fatal: true })

/** The request's JSON value. Errors: 400, 413, 415. */
export async function readJsonBody(ctx: Context, limitBytes: number): Promise<unknown> {
  requireJsonType(ctx)
  const read = readers.get(limitBytes) ?? reader(limitBytes)
  readers.set(limitBytes, read)
  await read(ctx, () => Promise.resolve()).catch((error: unknown) => {
    throw bodyError(error, limitBytes)
  })
  const body: unknown = ctx.request.body
  return parse(typeof body === 'string' ? body : '')
}

function requireJsonType(ctx: Context): void {
  // What nearly all send, and by far the cheapest to tell.
  if (ctx.get('content-type') === 'application/json') return
  if (ctx.is('application/json', '+json') !== false && ctx.is('application/json', '+json') !== null) return
  if (ctx.get('content-length') === '' && ctx.get('transfer-encoding') === '')
    throw badRequest('The request needs a JSON body.')
  if (ctx.get('content-length') === '0') throw badRequest('The request needs a JSON body.')
  throw new DomainError(415, 'bad_request', 'The body must be `application/json`.', { type: 'unsupported_media_type' })
}

function parse(latin1: string): unknown {
  if (latin1 === '') throw badRequest('The request needs a JSON body.')
  let text: string
  try {
    text = utf8.decode(Buffer.from(latin1, 'latin1'))
  } catch {
    throw badRequest('The body is not valid UTF-8.')
  }
  const value = parseJson(text)
  if (isTooDeep(value)) throw badRequest('The body is nested too deeply.')
  return value
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
  if (type === 'entity.too.large') {
    return new DomainError(413, 'bad_request', `The body is larger than ${limitBytes} bytes.`, {
      type: 'payload_too_large',
    })
  }
  if (error instanceof Error && 'status' in error && error.status === 415) {
    return new DomainError(415, 'bad_request', 'The content encoding is not supported.', {
      type: 'unsupported_media_type',
    })
  }
  return badRequest('The body could not be read.')
}
