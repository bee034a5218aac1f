import type { IncomingMessage } from 'node:http'
import { DomainError } from '../../../domain/core/errors.ts'
import { requireValid } from '../../../domain/core/validation.rules.ts'
import { boundedBytes, detached, requireLength } from './bounded.ts'
import { mostFormBytes, readForm } from './form.ts'
import { isJsonType, readJsonBody, type LargeBodies } from './json.ts'
import type { FormBody, JsonBody, JsonSpec, RawBody, TakesSpec } from './takes.ts'

const FORM_TYPE = 'multipart/form-data'

/** Reads a request's body, as far as that is done before its handler. */
export type ReadBody = (request: IncomingMessage, large: LargeBodies) => unknown

/**
 * What reads the bodies of an operation; undefined where it takes none. JSON comes checked; a form and raw bytes are
 * handed on unread, and bounded. Errors: 400, 413, 415.
 */
export function bodyReader(takes: readonly TakesSpec[]): ReadBody | undefined {
  const [first, second] = takes
  if (first === undefined) return undefined
  if (first.kind === 'json' && second === undefined) {
    return (request, large) => readCheckedJson(request, first, large)
  }
  return (request, large) => readOneOf(request, takes, large)
}

async function readCheckedJson(request: IncomingMessage, spec: JsonSpec, large: LargeBodies): Promise<unknown> {
  const value = await readJsonBody(request, spec.mostBytes, large)
  requireValid(spec.schema, value)
  return value
}

function readOneOf(
  request: IncomingMessage,
  takes: readonly TakesSpec[],
  large: LargeBodies,
): FormBody<unknown> | RawBody | Promise<JsonBody<unknown>> {
  const contentType = request.headers['content-type'] ?? ''
  const mediaType = contentType.split(';', 1)[0]?.trim().toLowerCase() ?? ''
  const spec = takes.find(one => isTaken(one, mediaType))
  if (spec === undefined) throw unsupported(takes)
  if (spec.kind === 'json') {
    return readCheckedJson(request, spec, large).then(value => ({ kind: 'json', value }))
  }
  requireIdentity(request)
  requireLength(request.headers['content-length'], spec.kind === 'form' ? mostFormBytes(spec) : spec.mostBytes)
  if (spec.kind === 'form') return readForm(request, contentType, spec)
  return { kind: 'raw', contentType: mediaType, bytes: detached(request, boundedBytes(spec.mostBytes)) }
}

function isTaken(spec: TakesSpec, mediaType: string): boolean {
  if (spec.kind === 'json') return isJsonType(mediaType)
  return spec.kind === 'form' ? mediaType === FORM_TYPE : spec.types.includes(mediaType)
}

/** What is stored as it came must not be another's encoding of it. Errors: 415. */
function requireIdentity({ headers }: IncomingMessage): void {
  const encoding = headers['content-encoding']?.trim().toLowerCase() ?? 'identity'
  if (encoding === 'identity' || encoding === 'aws-chunked') return
  throw new DomainError(415, 'bad_request', 'The content encoding is not supported for an upload.', {
    type: 'unsupported_media_type',
    param: 'Content-Encoding',
  })
}

/** The media types that the document names. */
export const documentedType = (spec: TakesSpec): string =>
  spec.kind === 'json' ? 'application/json' : spec.kind === 'form' ? FORM_TYPE : spec.types[0]

function unsupported(takes: readonly TakesSpec[]): DomainError {
  const types = takes.map(spec => `\`${documentedType(spec)}\``).join(' or ')
  return new DomainError(415, 'bad_request', `The body must be ${types}.`, {
    type: 'unsupported_media_type',
    param: 'Content-Type',
  })
}
