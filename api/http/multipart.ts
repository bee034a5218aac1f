import { once } from 'node:events'
import { PassThrough, type Readable } from 'node:stream'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import { badRequest, DomainError } from '../../domain/errors.ts'
import { UPLOAD_PURPOSES } from '../../domain/files/file.schema.ts'
import { FILE_LIMIT_BYTES, tooLarge } from '../../domain/files/file.service.ts'

const RAW_TYPES = [
  'application/octet-stream',
  'application/jsonl',
  'application/x-ndjson',
  'application/json',
  'text/plain',
]
const FIELD_LIMIT_BYTES = 4_096
const FIELD_LIMIT = 20
const LONGEST_NAME = 255
/** What a form may have around its file. */
const FORM_OVERHEAD_BYTES = 1024 * 1024

interface UploadFields {
  purpose: string | undefined
  filename: string | undefined
}

export interface Upload {
  /** The file's bytes; destroyed with an error where the form is broken. */
  body: Readable
  /** The form's fields, complete when the body has ended. Errors: 400. */
  fields(): UploadFields
}

/** The file of an upload, raw or in a form, unread. Errors: 400, 413 where the length given is too large, 415. */
export async function readUpload(request: Readable, header: (name: string) => string | undefined): Promise<Upload> {
  const type = header('content-type')?.split(';')[0]?.trim().toLowerCase() ?? ''
  const isForm = type === 'multipart/form-data'
  const mostBytes = FILE_LIMIT_BYTES + (isForm ? FORM_OVERHEAD_BYTES : 0)
  if (Number(header('content-length') ?? 0) > mostBytes) throw tooLarge(FILE_LIMIT_BYTES)
  if (isForm) return readForm(request, header('content-type') ?? '')
  if (RAW_TYPES.includes(type)) {
    return { body: detached(request), fields: () => ({ purpose: undefined, filename: undefined }) }
  }
  throw new DomainError(
    415,
    'bad_request',
    'Upload raw bytes as `application/octet-stream`, or a `multipart/form-data` form.',
    {
      type: 'unsupported_media_type',
      param: 'Content-Type',
    },
  )
}

/** Whoever fails to read these bytes destroys them, and not the request, which is still to be answered. */
function detached(request: Readable): Readable {
  const body = new PassThrough()
  request.on('error', error => void body.destroy(error))
  request.on('close', () => request.readableEnded || body.destroy(new Error('the upload broke off')))
  body.once('close', () => request.unpipe(body))
  return request.pipe(body)
}

async function readForm(request: Readable, contentType: string): Promise<Upload> {
  const fields: UploadFields = { purpose: undefined, filename: undefined }
  const body = new PassThrough()
  const form = openForm(contentType)
  const broken = (error: unknown) => void body.destroy(formError(error))
  let found = false

  form.on('field', (name, value) => {
    if (name === 'purpose') fields.purpose = value
  })
  form.on('file', (name, stream, filename) => {
    if (name !== 'file' || found) return void stream.resume()
    found = true
    fields.filename = safeName(filename)
    stream.on('error', broken)
    stream.pipe(body, { end: false })
  })
  // The body ends with the form, not with the file: fields may follow it.
  form.on('finish', () => (found ? body.end() : broken(badRequest('The form has no part named `file`.', 'file'))))
  form.on('error', broken)
  request.on('error', broken)
  // A request that was read to its end closes before the form is done with it.
  request.on('close', () => request.readableEnded || broken(new Error('the upload broke off')))
  request.pipe(form)
  body.once('close', () => request.unpipe(form))
  if (!found) await Promise.race([once(form, 'file'), once(body, 'close'), once(form, 'finish')]).catch(() => undefined)
  return { body, fields: () => checkedFields(fields) }
}

function openForm(contentType: string): BusboyInstance {
  try {
    return new Busboy({
      headers: { 'content-type': contentType },
      limits: { fields: FIELD_LIMIT, fieldSize: FIELD_LIMIT_BYTES, files: 2, parts: FIELD_LIMIT + 2 },
    })
  } catch (error) {
    throw formError(error)
  }
}

const formError = (error: unknown): Error =>
  error instanceof DomainError ? error : badRequest('The form is broken or broke off.')

function checkedFields(fields: UploadFields): UploadFields {
  const purposes: readonly string[] = UPLOAD_PURPOSES
  if (fields.purpose === undefined || purposes.includes(fields.purpose)) return fields
  throw badRequest(`\`purpose\` must be one of ${purposes.join(', ')}.`, 'purpose')
}

/** The last segment of a client's file name, without control characters; undefined where nothing is left. */
function safeName(filename: string | undefined): string | undefined {
  const segment = (filename ?? '').split(/[/\\]/).at(-1) ?? ''
  const name = [...segment].filter(isPrintable).join('').slice(0, LONGEST_NAME).toWellFormed()
  return name === '' ? undefined : name
}

const isPrintable = (character: string): boolean => character >= ' ' && character !== '\u007f'
