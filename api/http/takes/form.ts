import { PassThrough, type Readable } from 'node:stream'
import { Busboy, type BusboyInstance } from '@fastify/busboy'
import type { Static, TObject } from 'typebox'
import { badRequest, DomainError } from '../../../domain/core/errors.ts'
import { requireValid } from '../../../domain/core/validation.rules.ts'
import { boundedBytes } from './bounded.ts'
import type { FileRule, FormBody, FormFile, FormSpec } from './takes.ts'
import { readTexts } from './texts.ts'

/** Fields of a form, and files, with those that are not known: clients send a few. */
const MOST_FIELDS = 100
const MOST_OTHER_FILES = 20
const LONGEST_NAME = 255
const DEFAULT_TYPE = 'application/octet-stream'
/** What a form may have around its files. */
const OVERHEAD_BYTES = 1024 * 1024

/** The most that a form of this kind can be long. */
export const mostFormBytes = ({ files }: FormSpec): number =>
  Object.values(files).reduce((sum, { mostBytes, most = 1 }) => sum + mostBytes * most, OVERHEAD_BYTES)

/** The form of a request, read as its files are. Errors: 400 where it has no boundary. */
export function readForm<F extends TObject>(
  request: Readable,
  contentType: string,
  spec: FormSpec<F>,
): FormBody<Static<F>> {
  const reader = new FormReader(request, openForm(contentType, spec), spec)
  return {
    kind: 'form',
    files: reader.files(),
    fields: () => {
      const fields = readTexts(spec.fields, reader.texts)
      requireValid(spec.fields, fields)
      return fields as Static<F>
    },
  }
}

/**
 * The file of a form that has one. Its bytes end with the form, not with the part: whoever has read them all has the
 * fields too, and knows that the form came whole. Errors: 400 without such a file; its bytes: 400, 413.
 */
export async function onlyFile(body: Pick<FormBody<unknown>, 'files'>): Promise<FormFile> {
  const files = body.files[Symbol.asyncIterator]()
  const first = await files.next()
  if (first.done === true) throw badRequest('The form has no file.')
  const file = first.value
  const bytes = new PassThrough()
  bytes.once('close', () => file.bytes.destroy())
  // It may break off before its reader listens, who finds it destroyed then.
  bytes.on('error', () => undefined)
  const readRest = async () => {
    for await (const part of file.bytes) {
      if (!bytes.write(part))
        await new Promise<void>(resolve => void bytes.once('drain', resolve).once('close', resolve))
      if (bytes.destroyed) return
    }
    for (let next = await files.next(); next.done !== true; next = await files.next()) next.value.bytes.resume()
    bytes.end()
  }
  readRest()
    .catch((error: unknown) => void bytes.destroy(error instanceof Error ? error : new Error('the form broke off')))
    .then(() => files.return?.())
    .catch(() => undefined)
  return { ...file, bytes }
}

/** Takes what busboy finds. Whatever breaks the form ends the file that is being read and the wait for the next. */
class FormReader {
  readonly texts: Record<string, string | string[]> = {}
  private readonly arrived: FormFile[] = []
  private readonly counts: Record<string, number> = {}
  private open: Readable | undefined
  private failure: Error | undefined
  private isOver = false
  private wake: () => void = () => undefined
  private readonly request: Readable
  private readonly form: BusboyInstance
  private readonly spec: FormSpec

  constructor(request: Readable, form: BusboyInstance, spec: FormSpec) {
    this.request = request
    this.form = form
    this.spec = spec
    form.on('field', (name, value, _isNameCut, isCut) => this.addField(name, value, isCut))
    form.on('file', (part, stream, filename, _encoding, type) => this.addFile(part, stream, filename, type))
    form.on('fieldsLimit', () => this.fail(tooLarge(`The form has more than ${MOST_FIELDS} fields.`)))
    form.on('finish', () => this.finish())
    form.on('error', error => this.fail(formError(error)))
    request.on('error', error => this.fail(formError(error)))
    // A request that was read to its end closes before the form is done with it.
    request.on('close', () => request.readableEnded || this.fail(formError(undefined)))
    request.pipe(form)
  }

  async *files(): AsyncGenerator<FormFile, void> {
    try {
      for (;;) {
        const file = this.arrived.shift()
        if (file !== undefined) yield file
        else if (this.failure !== undefined) throw this.failure
        else if (this.isOver) return
        else await new Promise<void>(resolve => void (this.wake = resolve))
      }
    } finally {
      this.request.unpipe(this.form)
      for (const { bytes } of this.arrived) bytes.destroy()
    }
  }

  private addField(name: string, value: string, isCut: boolean): void {
    if (!Object.hasOwn(this.spec.fields.properties, name.replace(/\[\]$/, ''))) return
    if (isCut) return this.fail(tooLarge(`\`${name}\` has more than ${this.spec.mostFieldBytes} bytes.`, name))
    const known = this.texts[name]
    this.texts[name] = known === undefined ? value : [known, value].flat()
  }

  private addFile(part: string, stream: Readable, filename: string | undefined, type: string | undefined): void {
    const rule = Object.hasOwn(this.spec.files, part) ? this.spec.files[part] : undefined
    const count = (this.counts[part] ?? 0) + 1
    if (rule === undefined || count > (rule.most ?? 1)) return void stream.resume()
    this.counts[part] = count
    const bytes = bounded(stream, rule, part)
    this.open = bytes
    this.arrived.push({ part, filename: safeName(filename), contentType: type ?? DEFAULT_TYPE, bytes })
    this.wake()
  }

  private finish(): void {
    const missing = Object.entries(this.spec.files).find(
      ([part, { required = true }]) => required && this.counts[part] === undefined,
    )?.[0]
    if (missing !== undefined) return this.fail(badRequest(`The form has no part named \`${missing}\`.`, missing))
    this.isOver = true
    this.wake()
  }

  private fail(error: Error): void {
    if (this.isOver) return
    this.failure ??= error
    this.open?.destroy(error)
    this.wake()
  }
}

/** The part's bytes. A reader who has enough destroys them: the rest of the part is passed over. */
function bounded(stream: Readable, { mostBytes }: FileRule, part: string): Readable {
  const bytes = boundedBytes(mostBytes, part)
  stream.on('error', error => void bytes.destroy(formError(error)))
  // What nobody reads to its end must not keep the form from its own; nor its failure end the process.
  bytes.on('error', () => undefined)
  bytes.once('close', () => stream.unpipe(bytes).resume())
  return stream.pipe(bytes)
}

function openForm(contentType: string, { files, mostFieldBytes }: FormSpec): BusboyInstance {
  const fileParts = Object.values(files).reduce((sum, { most = 1 }) => sum + most, MOST_OTHER_FILES)
  const limits = { fields: MOST_FIELDS, fieldSize: mostFieldBytes, files: fileParts, parts: MOST_FIELDS + fileParts }
  try {
    return new Busboy({ headers: { 'content-type': contentType }, limits })
  } catch (error) {
    throw formError(error)
  }
}

const formError = (error: unknown): Error =>
  error instanceof DomainError ? error : badRequest('The form is broken or broke off.')

const tooLarge = (message: string, param?: string): DomainError =>
  new DomainError(413, 'bad_request', message, {
    type: 'payload_too_large',
    ...(param === undefined ? {} : { param }),
  })

/** The last segment of a client's file name, without control characters; undefined where nothing is left. */
function safeName(filename: string | undefined): string | undefined {
  const segment = (filename ?? '').split(/[/\\]/).at(-1) ?? ''
  const name = [...segment].filter(isPrintable).join('').slice(0, LONGEST_NAME).toWellFormed()
  return name === '' ? undefined : name
}

const isPrintable = (character: string): boolean => character >= ' ' && character !== '\u007f'
