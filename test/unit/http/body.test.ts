import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { request as httpRequest, type OutgoingHttpHeaders, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync } from 'node:zlib'
import Koa from 'koa'
import { readJsonBody, type LargeBodies } from '../../../api/http/takes/json.ts'
import { errorReply } from '../../../api/http/errors/ipop.ts'
import { parseJson } from '../../../domain/inference/threads/tasks.ts'

const LIMIT_BYTES = 10_000
const LARGE_BODIES: LargeBodies = { hold: () => undefined, parse: blocks => Promise.resolve(parseJson(blocks)) }
let server: Server
beforeAll(async () => {
  const app = new Koa()
  app.use(async ctx => {
    try {
      ctx.body = { value: await readJsonBody(ctx.req, LIMIT_BYTES, LARGE_BODIES) }
    } catch (error) {
      const reply = errorReply(error, 'r')
      ctx.status = reply.status
      ctx.body = reply.body
    }
  })
  server = app.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const JSON_TYPE = { 'content-type': 'application/json' }

async function post(body: string | Buffer | undefined, headers: OutgoingHttpHeaders = JSON_TYPE, method = 'POST') {
  const { port } = server.address() as AddressInfo
  const request = httpRequest({ host: '127.0.0.1', port, method, headers, agent: false })
  request.end(body)
  const [response] = await once(request, 'response')
  const parts: Buffer[] = []
  for await (const part of response) parts.push(part)
  return { status: response.statusCode as number, body: JSON.parse(Buffer.concat(parts).toString()) }
}

describe('a body that is read', () => {
  test.each<[string, string | Buffer, OutgoingHttpHeaders, unknown]>([
    ['an object', '{"a":[1,"é😀",null]}', JSON_TYPE, { a: [1, 'é😀', null] }],
    ['with white space', ' \n{"a":1}\r\n', JSON_TYPE, { a: 1 }],
    ['with a byte order mark', '\ufeff{"a":1}', JSON_TYPE, { a: 1 }],
    ['a list', '[]', JSON_TYPE, []],
    ['null', 'null', JSON_TYPE, null],
    ['with a charset', '{"a":"é"}', { 'content-type': 'application/json; charset=utf-8' }, { a: 'é' }],
    ['of a type in capitals', '{}', { 'content-type': 'Application/JSON' }, {}],
    ['of a type that is JSON by its ending', '{}', { 'content-type': 'application/vnd.api+json' }, {}],
    ['packed', gzipSync('{"a":"é"}'), { ...JSON_TYPE, 'content-encoding': 'gzip' }, { a: 'é' }],
    ['in chunks', '{"a":1}', { ...JSON_TYPE, 'transfer-encoding': 'chunked' }, { a: 1 }],
    ['of just the limit', JSON.stringify('x'.repeat(LIMIT_BYTES - 2)), JSON_TYPE, 'x'.repeat(LIMIT_BYTES - 2)],
    [
      'that says it is Latin-1 and is UTF-8',
      '{"a":"é"}',
      { 'content-type': 'application/json; charset=latin1' },
      { a: 'é' },
    ],
    ['with a name that is no ordinary one', '{"__proto__":{"x":1}}', JSON_TYPE, JSON.parse('{"__proto__":{"x":1}}')],
  ])('%s', async (_what, body, headers, value) => {
    expect(await post(body, headers)).toEqual({ status: 200, body: { value } })
  })

  test.each(['PUT', 'PATCH', 'DELETE'])('of a %s', async method => {
    expect(await post('{"a":1}', { ...JSON_TYPE, 'content-length': 7 }, method)).toEqual({
      status: 200,
      body: { value: { a: 1 } },
    })
  })
})

describe('a body that is refused', () => {
  const bomb = gzipSync(Buffer.alloc(50_000_000, ' '))
  const withGzip = { ...JSON_TYPE, 'content-encoding': 'gzip' }
  const deep = `{"a":${'['.repeat(4_000)}${']'.repeat(4_000)}}`
  test.each<[string, string | Buffer | undefined, OutgoingHttpHeaders, number, RegExp]>([
    ['that is missing', undefined, {}, 400, /needs a JSON body/],
    ['that is missing, of a type', undefined, JSON_TYPE, 400, /needs a JSON body/],
    ['that is empty', '', { ...JSON_TYPE, 'content-length': 0 }, 400, /needs a JSON body/],
    ['that is empty and of no type', '', { 'content-length': 0 }, 400, /needs a JSON body/],
    ['that is empty in chunks', '', { ...JSON_TYPE, 'transfer-encoding': 'chunked' }, 400, /needs a JSON body/],
    ['that is broken JSON', '{"a":', JSON_TYPE, 400, /not valid JSON/],
    ['that is two objects', '{}{}', JSON_TYPE, 400, /not valid JSON/],
    ['that is a word', 'hello', JSON_TYPE, 400, /not valid JSON/],
    ['with bad UTF-8', Buffer.from([0x22, 0xc3, 0x28, 0x22]), JSON_TYPE, 400, /not valid UTF-8/],
    [
      'with half a surrogate pair in UTF-8',
      Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]),
      JSON_TYPE,
      400,
      /not valid UTF-8/,
    ],
    ['in UTF-16', Buffer.from('{"a":1}', 'utf16le'), JSON_TYPE, 400, /not valid JSON/],
    ['nested too deeply', deep, JSON_TYPE, 400, /nested too deeply/],
    ['that is too long', JSON.stringify('x'.repeat(LIMIT_BYTES)), JSON_TYPE, 413, /larger than 10000 bytes/],
    [
      'that is too long in chunks',
      JSON.stringify('x'.repeat(LIMIT_BYTES)),
      { ...JSON_TYPE, 'transfer-encoding': 'chunked' },
      413,
      /larger than/,
    ],
    ['that unpacks to too much', bomb.subarray(0, 9_000), withGzip, 413, /larger than/],
    ['that is badly packed', 'not gzip', withGzip, 400, /could not be read/],
    [
      'that is packed in an unknown way',
      '{}',
      { ...JSON_TYPE, 'content-encoding': 'zstd-9000' },
      415,
      /content encoding/,
    ],
    ['of no type', '{}', { 'content-length': 2 }, 415, /must be `application\/json`/],
    ['that is a text', '{}', { 'content-type': 'text/plain' }, 415, /must be `application\/json`/],
    [
      'that is a form',
      'a=1',
      { 'content-type': 'application/x-www-form-urlencoded' },
      415,
      /must be `application\/json`/,
    ],
    [
      'that is a multipart form',
      '--x--',
      { 'content-type': 'multipart/form-data; boundary=x' },
      415,
      /must be `application\/json`/,
    ],
    ['of a nonsense type', '{}', { 'content-type': 'json' }, 415, /must be `application\/json`/],
  ])('%s', async (_what, body, headers, status, text) => {
    const reply = await post(body, headers)
    expect(reply.status).toBe(status)
    expect(reply.body.message).toMatch(text)
  })
})
