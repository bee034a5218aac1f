import { describe, expect, test } from '@jest/globals'
import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import { Type } from 'typebox'
import { onlyFile } from '../../../api/http/takes/form.ts'
import { bodyReader } from '../../../api/http/takes/read-body.ts'
import { form, raw, type FormBody, type RawBody } from '../../../api/http/takes/takes.ts'
import { DomainError } from '../../../domain/core/errors.ts'
import { refusalOf, rejectedBy } from '../fixtures.ts'

const FORM = 'multipart/form-data; boundary=edge'

const field = (name: string, value: string) =>
  `--edge\r\ncontent-disposition: form-data; name="${name}"\r\n\r\n${value}\r\n`
const file = (bytes: string, filename = 'rows.jsonl', name = 'file') =>
  `--edge\r\ncontent-disposition: form-data; name="${name}"; filename="${filename}"\r\ncontent-type: text/plain\r\n\r\n${bytes}\r\n`
const END = '--edge--\r\n'

const pieces = (text: string, bytes = 7) => {
  const all = Buffer.from(text)
  return Array.from({ length: Math.ceil(all.length / bytes) }, (_, index) =>
    all.subarray(index * bytes, (index + 1) * bytes),
  )
}

const NO_JSON = { hold: () => undefined, parse: () => Promise.reject(new Error('there is no JSON here')) }
const LIMIT_BYTES = 50_000
const read = bodyReader([
  raw({ types: ['application/octet-stream', 'application/jsonl', 'text/plain'], mostBytes: LIMIT_BYTES }),
  form({
    fields: Type.Object({ purpose: Type.Optional(Type.Enum(['batch', 'vision'])) }),
    files: { file: { mostBytes: LIMIT_BYTES } },
    mostFieldBytes: 100,
  }),
])
type Body = FormBody<{ purpose?: string }> | RawBody

async function upload(text: string | Readable, type: string | undefined = FORM, headers: Record<string, string> = {}) {
  const request = typeof text === 'string' ? Readable.from(pieces(text)) : text
  const message = Object.assign(request, { headers: { 'content-type': type, ...headers } })
  const body = (await read?.(message as unknown as IncomingMessage, NO_JSON)) as Body
  if (body.kind === 'raw') return { filename: undefined, fields: () => ({ purpose: undefined }), bytes: body.bytes }
  return { ...(await onlyFile(body)), fields: body.fields }
}

async function readAll(reading: ReturnType<typeof upload>) {
  const { bytes, filename, fields } = await reading
  const parts: Buffer[] = []
  for await (const part of bytes) parts.push(part as Buffer)
  return { bytes: Buffer.concat(parts).toString(), filename, ...fields() }
}

describe('a form', () => {
  test.each<[string, string, { bytes: string; purpose?: string; filename?: string }]>([
    [
      'with its field before the file',
      field('purpose', 'batch') + file('{}\n') + END,
      { bytes: '{}\n', purpose: 'batch', filename: 'rows.jsonl' },
    ],
    [
      'with its field after the file',
      file('{}\n') + field('purpose', 'vision') + END,
      { bytes: '{}\n', purpose: 'vision', filename: 'rows.jsonl' },
    ],
    ['without fields', file('x') + END, { bytes: 'x', filename: 'rows.jsonl' }],
    [
      'with fields that are not known',
      field('a', 'b') + file('x') + field('c', 'd') + END,
      { bytes: 'x', filename: 'rows.jsonl' },
    ],
    ['with an empty file', file('') + END, { bytes: '', filename: 'rows.jsonl' }],
    [
      'with text that looks like an edge',
      file('--edg\r\n--edgy\r\n') + END,
      { bytes: '--edg\r\n--edgy\r\n', filename: 'rows.jsonl' },
    ],
    [
      'with two files, of which it is the first',
      file('one') + file('two', 'b') + END,
      { bytes: 'one', filename: 'rows.jsonl' },
    ],
    [
      'with a file of another name before',
      file('other', 'o', 'extra') + file('mine') + END,
      { bytes: 'mine', filename: 'rows.jsonl' },
    ],
    [
      'with a large file',
      file('0123456789'.repeat(2_000)) + END,
      { bytes: '0123456789'.repeat(2_000), filename: 'rows.jsonl' },
    ],
  ])('%s', async (_what, text, expected) => {
    const read = await readAll(upload(text))
    expect(read).toEqual({ purpose: undefined, filename: undefined, ...expected })
  })

  test.each<[string, string, string | undefined]>([
    ['with a path', '../../etc/passwd', 'passwd'],
    ['with a path of Windows', 'C:\\\\temp\\\\rows.jsonl', 'rows.jsonl'],
    ['with letters of all kinds', 'Zeilen-ä字😀.jsonl', 'Zeilen-ä字😀.jsonl'],
    ['with control characters', 'a\tb\u0007c\u007f', 'abc'],
    ['that is a folder', 'folder/', undefined],
    ['that is endless', 'x'.repeat(300), 'x'.repeat(255)],
  ])('a file name %s is made harmless', async (_what, given, filename) => {
    expect((await readAll(upload(file('x', given) + END))).filename).toBe(filename)
  })
})

describe('a form that is refused', () => {
  test.each<[string, string, string, string | undefined]>([
    ['without a file', field('purpose', 'batch') + END, FORM, 'file'],
    ['with a file of another name alone', file('x', 'a', 'upload') + END, FORM, 'file'],
    ['that is empty', END, FORM, 'file'],
    ['cut within the file', file('0123456789'.repeat(1_000)).slice(0, -2_000), FORM, undefined],
    ['cut before its end', file('0123456789'), FORM, undefined],
    ['cut within a head', '--edge\r\ncontent-disposi', FORM, undefined],
    ['cut after a field', field('purpose', 'batch'), FORM, undefined],
    ['of no bytes', '', FORM, undefined],
    ['that is no form', 'hello world', FORM, undefined],
    ['without a boundary', file('x') + END, 'multipart/form-data', undefined],
  ])('%s is a 400', async (_what, text, type, param) => {
    const refusal = refusalOf(await rejectedBy(DomainError, readAll(upload(text, type))))
    expect(refusal.status).toBe(400)
    expect(refusal.param).toBe(param)
  })

  test('whose sender goes away is a failure, not the end of the file', async () => {
    const request = new Readable({ read: () => undefined })
    request.push(file('0123456789'.repeat(1_000)).slice(0, -5_000))
    const reading = readAll(upload(request))
    setImmediate(() => request.destroy())
    expect((await rejectedBy(DomainError, reading)).status).toBe(400)
  })

  test('for a field of another value, whose name it says', async () => {
    const refusal = refusalOf(await rejectedBy(DomainError, readAll(upload(file('x') + field('purpose', 'y') + END))))
    expect(refusal).toMatchObject({ status: 400, param: 'purpose' })
  })

  test.each([
    ['a field', field('purpose', 'x'.repeat(101)) + file('x') + END, 'purpose'],
    ['a file', file('x'.repeat(LIMIT_BYTES + 1)) + END, 'file'],
  ])('for %s that is too large', async (_what, text, param) => {
    const refusal = refusalOf(await rejectedBy(DomainError, readAll(upload(text))))
    expect(refusal).toMatchObject({ status: 413, param })
  })

  test('for more fields than anybody needs', async () => {
    const text = field('other', 'x').repeat(101) + file('x') + END
    expect(refusalOf(await rejectedBy(DomainError, readAll(upload(text)))).status).toBe(413)
  })
})

describe('what is no form', () => {
  test.each([
    'application/octet-stream',
    'Application/Octet-Stream; x=y',
    'application/jsonl',
    'text/plain; charset=utf-8',
  ])('but %s is its bytes', async type => {
    expect(await readAll(upload('--edge raw', type))).toEqual({
      bytes: '--edge raw',
      purpose: undefined,
      filename: undefined,
    })
  })

  test.each(['image/png', '', 'application/x-www-form-urlencoded', 'multipart/mixed; boundary=edge'])(
    'but %j is a 415',
    async type => {
      const refusal = refusalOf(await rejectedBy(DomainError, upload('x', type)))
      expect(refusal).toMatchObject({ status: 415, param: 'Content-Type' })
    },
  )
})

test.each<[string, string, number, boolean]>([
  ['raw bytes of the limit', 'application/octet-stream', LIMIT_BYTES, true],
  ['raw bytes over the limit', 'application/octet-stream', LIMIT_BYTES + 1, false],
  ['a form whose file may just fit', FORM, LIMIT_BYTES + 1_000, true],
  ['a form that is far too long', FORM, LIMIT_BYTES + 2_000_000, false],
])('%s by the length given', async (_what, type, length, isTaken) => {
  const outcome = await upload(file('x') + END, type, { 'content-length': String(length) }).then(
    () => 'taken',
    (error: unknown) => (error instanceof DomainError ? error.status : error),
  )
  expect(outcome).toBe(isTaken ? 'taken' : 413)
})
