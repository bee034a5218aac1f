import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { Type } from 'typebox'
import { bytes, Bytes, events, EventStream, Reply, type Gives } from '../../../api/http/gives/gives.ts'
import { failureAsData } from '../../../api/http/gives/stream-failure.ts'
import { route, type AnyRoute } from '../../../api/http/route.ts'
import {
  form,
  json,
  raw,
  type FormBody,
  type JsonBody,
  type RawBody,
  type Takes,
} from '../../../api/http/takes/takes.ts'
import { serve, type Served } from '../../support/serve-operations.ts'

const MOST_BYTES = 1_000
const Note = Type.Object({ note: Type.String({ maxLength: 10 }) }, { additionalProperties: false })
const noteForm = form({ fields: Note, files: { file: { mostBytes: MOST_BYTES, required: false } } })
const noteBytes = raw({ types: ['text/plain', 'application/octet-stream'], mostBytes: MOST_BYTES })

const TAKES: Record<string, Takes> = {
  json: json(Note, { mostBytes: MOST_BYTES }),
  form: noteForm,
  raw: noteBytes,
  several: [json(Note), noteForm, noteBytes],
}
const GIVES: Record<string, Gives> = {
  json: json(Type.Any()),
  bytes: bytes({ 'text/plain': Type.String() }),
  events: events(),
  several: [json(Type.Any()), events(), bytes({ 'text/plain': Type.String() })],
  nothing: [],
}

type Body = { note: string } | JsonBody<{ note: string }> | FormBody<{ note: string }> | RawBody

/** What came, whichever way. */
async function noteOf(body: Body): Promise<string> {
  if (!('kind' in body)) return body.note
  if (body.kind === 'json') return body.value.note
  if (body.kind === 'raw') return text(body.bytes)
  let note = ''
  for await (const file of body.files) note += await text(file.bytes)
  return body.fields().note + note
}

/** The note in a kind that the operation gives: the one that `accept` asks for, where it gives several. */
function given(kind: string, note: string, accept: string): unknown {
  const wanted = kind === 'several' ? (Object.keys(TYPES).find(one => TYPES[one] === accept) ?? 'json') : kind
  if (wanted === 'bytes') return new Bytes(Readable.from([note]), { contentType: 'text/plain', status: 206 })
  if (wanted === 'events') return new EventStream(Readable.from([note, note]), failureAsData)
  return wanted === 'nothing' ? undefined : new Reply({ note }, { headers: { 'x-note': 'yes' }, status: 201 })
}

const routes: AnyRoute[] = Object.entries(TAKES).flatMap(([takes, takesSpec]) =>
  Object.entries(GIVES).map(([gives, givesSpec]) =>
    route({
      method: 'POST',
      path: `/${takes}/{kind}/${gives}`,
      auth: 'none',
      summary: 'Give back a note',
      params: Type.Object({ kind: Type.String() }),
      takes: takesSpec,
      gives: givesSpec,
      handle: async ({ body, header }) => given(gives, await noteOf(body as Body), header('accept') ?? '') as never,
    }),
  ),
)

const TYPES: Record<string, string> = { json: 'application/json', bytes: 'text/plain', events: 'text/event-stream' }
const REPLIES: Record<string, [status: number, text: string, type: string | null]> = {
  json: [201, '{"note":"hello"}', 'application/json; charset=utf-8'],
  bytes: [206, 'hello', 'text/plain'],
  events: [200, 'data: hello\n\ndata: hello\n\n', 'text/event-stream; charset=utf-8'],
  nothing: [204, '', null],
}

type Sent = Pick<RequestInit, 'body'> & { headers: Record<string, string> }
const formOf = (fields: Record<string, string>, file?: string): Sent => {
  const data = new FormData()
  for (const [name, value] of Object.entries(fields)) data.append(name, value)
  if (file !== undefined) data.append('file', new Blob([file]), 'a.txt')
  return { body: data, headers: {} }
}
const BODIES: Record<string, Sent> = {
  json: { body: '{"note":"hello"}', headers: { 'content-type': 'application/json' } },
  form: formOf({ note: 'hel' }, 'lo'),
  raw: { body: 'hello', headers: { 'content-type': 'text/plain' } },
}
const kindsOf = (name: string, kinds: object) => (name === 'several' ? Object.keys(kinds) : [name])

let api: Served
beforeAll(async () => void (api = await serve(routes)))
afterAll(() => api.close())

const post = (path: string, { body, headers }: Sent, accept = '*/*') =>
  fetch(api.url + path, { method: 'POST', body: body ?? null, headers: { ...headers, accept } })

const CASES = Object.keys(TAKES).flatMap(takes =>
  kindsOf(takes, BODIES).flatMap(sent =>
    Object.keys(GIVES).flatMap(gives => kindsOf(gives, TYPES).map(asked => ({ takes, sent, gives, asked }))),
  ),
)

test.each(CASES)(
  'takes $takes sent as $sent, gives $gives asked for as $asked',
  async ({ takes, sent, gives, asked }) => {
    const reply = await post(`/${takes}/x/${gives}`, BODIES[sent] as Sent, TYPES[asked])
    expect([reply.status, await reply.text(), reply.headers.get('content-type')]).toEqual(REPLIES[asked])
    expect(api.faults).toEqual([])
  },
)

const tooLong = 'x'.repeat(MOST_BYTES + 1)
const chunked = (length: number) => Readable.toWeb(Readable.from(pieces(length))) as unknown as RequestInit['body']
function* pieces(length: number) {
  for (let left = length; left > 0; left -= 64 * 1024) yield Buffer.alloc(Math.min(left, 64 * 1024))
}

describe('refuses', () => {
  test.each<[string, string, Sent, number, string | null]>([
    ['JSON of another form', 'json', { ...(BODIES['json'] as Sent), body: '{"note":1}' }, 400, 'note'],
    ['JSON beyond the limit', 'json', { ...(BODIES['json'] as Sent), body: `{"note":"${tooLong}"}` }, 413, null],
    ['a form where JSON is taken', 'json', formOf({ note: 'x' }), 415, null],
    ['a form without a field', 'form', formOf({}), 400, 'note'],
    ['a form with a field of another form', 'form', formOf({ note: 'x'.repeat(11) }), 400, 'note'],
    ['a file beyond the limit', 'form', formOf({ note: 'x' }, tooLong), 413, 'file'],
    ['JSON where a form is taken', 'form', BODIES['json'] as Sent, 415, 'Content-Type'],
    ['bytes beyond the limit', 'raw', { ...(BODIES['raw'] as Sent), body: tooLong }, 413, null],
    ['bytes of another type', 'raw', { body: 'x', headers: { 'content-type': 'image/png' } }, 415, 'Content-Type'],
    [
      'what is none of several',
      'several',
      { body: 'x', headers: { 'content-type': 'image/png' } },
      415,
      'Content-Type',
    ],
    [
      'packed bytes',
      'raw',
      { body: 'x', headers: { 'content-type': 'text/plain', 'content-encoding': 'gzip' } },
      415,
      'Content-Encoding',
    ],
  ])('%s', async (_, takes, sent, status, param) => {
    const reply = await post(`/${takes}/x/json`, sent)
    const body = (await reply.json()) as { param?: string }
    expect([reply.status, body.param ?? null]).toEqual([status, param])
    expect(api.faults).toEqual([])
  })

  test('bytes beyond the limit that come without a length', async () => {
    const sent = { method: 'POST', body: chunked(64 * 1024), duplex: 'half', headers: { 'content-type': 'text/plain' } }
    expect((await fetch(`${api.url}/raw/x/json`, sent as RequestInit)).status).toBe(413)
  })
})

test.each([
  ['bytes', 'text/plain', '', ''],
  [
    'a file of a form',
    'multipart/form-data; boundary=edge',
    '--edge\r\ncontent-disposition: form-data; name="file"; filename="a"\r\n\r\n',
    '\r\n--edge--\r\n',
  ],
])('%s are handed on as they come: their rest is sent when their beginning was read', async (_, type, open, close) => {
  let begin: () => void = () => undefined
  const begun = new Promise<void>(resolve => void (begin = resolve))
  const lengthOf = async (source: Readable) => {
    let length = 0
    for await (const part of source) {
      length += (part as Buffer).length
      begin()
    }
    return length
  }
  const takes = [
    raw({ types: ['text/plain'], mostBytes: 1e6 }),
    form({ fields: Type.Object({}), files: { file: { mostBytes: 1e6 } } }),
  ]
  const put = route({
    method: 'PUT',
    path: '/large',
    auth: 'none',
    summary: 'Take much',
    takes,
    gives: json(Type.Any()),
    handle: async ({ body }) => {
      if (body.kind === 'raw') return { length: await lengthOf(body.bytes) }
      let length = 0
      if (body.kind === 'form') for await (const file of body.files) length += await lengthOf(file.bytes)
      return { length }
    },
  })
  async function* parts() {
    yield Buffer.from(open)
    yield Buffer.alloc(200_000)
    await begun
    yield Buffer.alloc(200_000)
    yield Buffer.from(close)
  }
  const large = await serve([put])
  const sent = { method: 'PUT', body: Readable.toWeb(Readable.from(parts())), duplex: 'half' }
  const reply = await fetch(`${large.url}/large`, {
    ...sent,
    headers: { 'content-type': type },
  } as unknown as RequestInit)
  expect(await reply.json()).toEqual({ length: 400_000 })
  await large.close()
})
