import { once } from 'node:events'
import { STATUS_CODES, type Server } from 'node:http'
import { connect, type AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { setImmediate } from 'node:timers/promises'
import { buffer } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { Type } from 'typebox'
import type { ApiDeps } from '../../../api/http/request/deps.ts'
import { createApp } from '../../../api/http/app.ts'
import { listen } from '../../../api/http/listen.ts'
import { events, EventStream, Reply } from '../../../api/http/gives/gives.ts'
import { route as declare, type AnyRequest, type AnyRoute } from '../../../api/http/route.ts'
import { json } from '../../../api/http/takes/takes.ts'
import { failureAsData } from '../../../api/http/gives/stream-failure.ts'
import { unauthorized } from '../../../domain/core/errors.ts'
import { expectError } from '../../support/errors.ts'
import { rawExchange, repliesIn, type RawReply } from '../../support/raw-request.ts'
import { until } from '../../support/until.ts'

type Changes = Partial<Omit<Parameters<typeof declare>[0], 'handle'>> & { handle?: (request: AnyRequest) => unknown }

const route = (changes: Changes): AnyRoute =>
  declare({
    method: 'GET',
    path: '/thing',
    auth: 'none',
    summary: 'Get a thing',
    gives: json(Type.Any()),
    handle: () => ({ is: 'fine' }),
    ...changes,
  })

const MIB = 1024 * 1024
const PUBLIC_URL = 'https://api.example.test'
/** Events without end. */
async function* endless() {
  for (;;) {
    await setImmediate()
    yield 'more'
  }
}
const slow: { answer?: () => void } = {}
const routes = [
  route({}),
  route({ path: '/thing/{id}', params: Type.Object({ id: Type.String() }), handle: ({ params }) => params }),
  route({ path: '/models/{model_id}', tail: true, params: Type.Object({ model_id: Type.String() }) }),
  route({ method: 'POST', path: '/echo', takes: json(Type.Any(), { mostBytes: MIB }), handle: ({ body }) => body }),
  route({ method: 'POST', path: '/chat/completions', takes: json(Type.Any()) }),
  route({ method: 'DELETE', path: '/gone', gives: [] }),
  route({
    path: '/slow',
    handle: async () => {
      await new Promise<void>(resolve => (slow.answer = resolve))
      return new Reply({ slow: true })
    },
  }),
  route({
    path: '/events',
    gives: events(),
    streams: () => true,
    handle: () => new EventStream(endless(), failureAsData),
  }),
  route({
    method: 'POST',
    path: '/refused',
    takes: json(Type.Any()),
    auth: 'apiKey',
  }),
]

let server: Server
let url: string
beforeAll(async () => {
  const log = { error: () => undefined, info: () => undefined, isLevelEnabled: () => false }
  const deps = {
    log,
    metrics: { requests: { observe: () => undefined } },
    config: { streamStallMs: 1_000, trustedProxies: [], corsOrigins: '*', publicUrl: PUBLIC_URL },
    keyCache: { get: () => Promise.reject(unauthorized('The API key is not valid.')) },
  }
  const app = createApp(routes, deps as unknown as ApiDeps)
  server = await listen(app, { host: '127.0.0.1', port: 0, log: log as never, headers: {} })
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(async () => {
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

const CLOSE = 'host: x\r\nconnection: close\r\n'
const CHUNKED = `${CLOSE}transfer-encoding: chunked\r\n\r\n`
const get = (path: string, headers = CLOSE) => `GET ${path} HTTP/1.1\r\n${headers}\r\n`
const exchange = async (sent: string | Uint8Array) => repliesIn(await rawExchange(sent, url))
async function only(sent: string | Uint8Array) {
  const [reply, ...others] = await exchange(sent)
  expect(others).toEqual([])
  if (reply === undefined) throw new Error('nothing came back')
  expect(reply.reason).toBe(STATUS_CODES[reply.status])
  return reply
}

describe('a request', () => {
  test.each([
    ['of a path with parameters', get('/v1/thing/7'), 200, { id: '7' }],
    ['of a path that ends in slashes and all', get('/v1/models/a/b'), 200, { is: 'fine' }],
    ['of a pattern, sent as it is written', get('/v1/thing/{id}'), 200, { id: '{id}' }],
    ['that names the whole address', get('http://other.test/v1/thing'), 200, { is: 'fine' }],
    ['of HTTP/1.0 without a Host', 'GET /v1/thing HTTP/1.0\r\n\r\n', 200, { is: 'fine' }],
    ['to upgrade to what is not spoken', get('/v1/thing', `${CLOSE}upgrade: h2c\r\n`), 200, { is: 'fine' }],
  ])('%s is answered', async (_, sent, status, body) => {
    const reply = await only(sent)
    expect([reply.status, JSON.parse(reply.text)]).toEqual([status, body])
  })

  test.each([
    ['without a Host', 'GET /v1/thing HTTP/1.1\r\nconnection: close\r\n\r\n', 400, 'bad_request'],
    ['with an odd Expect', get('/v1/thing', `${CLOSE}expect: tea\r\n`), 417, 'expectation_failed'],
    ['of no path', `OPTIONS * HTTP/1.1\r\n${CLOSE}\r\n`, 400, 'invalid_request'],
    ['of another method', `TRACE /v1/thing HTTP/1.1\r\n${CLOSE}\r\n`, 405, 'method_not_allowed'],
    ['of another method and an unknown path', `TRACE /v1/no HTTP/1.1\r\n${CLOSE}\r\n`, 404, 'not_found'],
    ['of a method that is none', `BREW /v1/thing HTTP/1.1\r\n${CLOSE}\r\n`, 400, 'invalid_request'],
    ['to a proxy', `CONNECT other.test:443 HTTP/1.1\r\nhost: other.test\r\n\r\n`, 405, 'invalid_request'],
    ['that is TLS', '\u0016\u0003\u0001\u0002\u0000\u0001\u0000\u0001\u00fc\u0003\u0003', 400, 'invalid_request'],
    ['of a path that is too long', get(`/v1/thing/${'x'.repeat(20_000)}`), 431, 'invalid_request'],
    ['of no operation, with a broken body', `POST /v1/no HTTP/1.1\r\n${CHUNKED}zz\r\n`, 404, 'not_found'],
    ['of another method, with a broken body', `PUT /v1/thing HTTP/1.1\r\n${CHUNKED}zz\r\n`, 405, 'method_not_allowed'],
    ['without a key', `POST /v1/refused HTTP/1.1\r\n${CLOSE}content-length: 9\r\n\r\n{"a": 1}`, 401, 'unauthorized'],
  ])('%s is refused in the same form', async (_, sent, status, type) => {
    const reply = await only(sent)
    expectError(reply, status, type === 'bad_request' ? { code: type } : { type })
  })
})

test('a request that ends too early is refused', async () => {
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.end('GET /v1/thing HTTP/1.1\r\nhost')
  const [reply] = repliesIn((await buffer(socket)).toString())
  expectError(reply as RawReply, 400, { type: 'invalid_request' })
})

test('of a stream of events, HEAD gives the head alone', async () => {
  const [head = '', ...body] = (await rawExchange(`HEAD /v1/events HTTP/1.1\r\n${CLOSE}\r\n`, url)).split('\r\n\r\n')
  expect(head).toMatch(/^HTTP\/1\.1 200 OK\r\n/)
  expect(head).toContain('content-type: text/event-stream')
  expect(body).toEqual([''])
})

test('what has no body says why in its first line', async () => {
  const reply = await only(`DELETE /v1/gone HTTP/1.1\r\n${CLOSE}\r\n`)
  expect([reply.status, reply.reason, reply.text]).toEqual([204, 'No Content', ''])
})

describe('a path with the wrong base', () => {
  const hint = `For \`/chat/completions\`, set your client's base URL to ${PUBLIC_URL}/v1.`
  test.each([
    '/chat/completions',
    '/v1/v1/chat/completions',
    '//v1/chat/completions',
    '/v1//chat/completions',
    '/api/v1/chat/completions',
    '/openai/deployments/x/chat/completions',
    '/v1/chat/completions/chat/completions',
    '/v1/chat/completions/v1/chat/completions',
    '/v1/chat/completions/v1/chat/completions/?a=/thing',
  ])('%s is told the right one', async path => {
    const reply = await only(`POST ${path} HTTP/1.1\r\n${CLOSE}content-length: 2\r\n\r\n{}`)
    expect(expectError(reply, 404, { type: 'not_found' }).message).toBe(`There is no such operation. ${hint}`)
  })

  test.each(['/', '/v1', '/v1/', '/v2/nothing', '/v1/nothing', `/${'x/'.repeat(7_000)}`])(
    '%s is told the base and the list',
    async path => {
      const reply = await only(get(path))
      const { message } = expectError(reply, 404, { type: 'not_found' })
      expect(message).toContain(`base URL ${PUBLIC_URL}/v1; ${PUBLIC_URL}/v1/openapi.json`)
    },
  )
})

describe('requests in one go', () => {
  const keep = 'host: x\r\n'
  test('are answered in turn', async () => {
    const sent = `${get('/v1/thing', keep)}${get('/v1/no', keep)}${get('/v1/thing/{id}')}`
    expect((await exchange(sent)).map(({ status, reason }) => `${status} ${reason}`)).toEqual([
      '200 OK',
      '404 Not Found',
      '200 OK',
    ])
  })

  test('with bytes behind them that are none: the replies stay whole, the refusal follows', async () => {
    const coming = exchange(`${get('/v1/slow', keep)}NONSENSE\r\n\r\n`)
    await until(() => Promise.resolve(slow.answer !== undefined))
    slow.answer?.()
    const [first, second, ...others] = await coming
    expect(others).toEqual([])
    expect([first?.status, first?.text]).toEqual([200, '{"slow":true}'])
    expectError(second as RawReply, 400, { type: 'invalid_request' })
  })

  test('of which one has a broken body', async () => {
    const broken = `POST /v1/echo HTTP/1.1\r\n${keep}content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n`
    const [first, second, ...others] = await exchange(`${get('/v1/thing', keep)}${broken}`)
    expect([first?.status, second?.status, others]).toEqual([200, 400, []])
  })
})

describe('a client that is refused while it sends', () => {
  const endless = (headers: string) =>
    `POST /v1/echo HTTP/1.1\r\n${CLOSE}content-type: application/json\r\n${headers}\r\n`
  const chunk = Buffer.alloc(64 * 1024, 'x')

  /** Sends as fast as the other side takes it, and reads only when all is sent or sending has failed. */
  async function sendThenRead(head: string, mostBytes: number) {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    const failures: string[] = []
    socket.on('error', (error: NodeJS.ErrnoException) => failures.push(error.code ?? ''))
    socket.pause().write(head)
    const source = Readable.from(chunksOf(mostBytes))
    source.pipe(socket, { end: false })
    // Not `once`: a connection that is cut off tells of an error first.
    await new Promise<void>(resolve => {
      source.once('end', resolve)
      socket.once('close', () => resolve())
    })
    const received = socket.destroyed ? '' : (await buffer(socket)).toString()
    return { sentBytes: socket.bytesWritten, failures, received }
  }
  function* chunksOf(bytes: number) {
    for (let left = bytes; left > 0; left -= chunk.length) yield chunk.subarray(0, left)
  }

  test.each([
    ['a length', 40 * MIB],
    ['its key', 2 * MIB],
  ])('for %s gets the reply, twenty times of twenty', async (what, bytes) => {
    const head = what === 'its key' ? endless('').replace('/echo', '/refused') : endless('')
    const status = what === 'its key' ? 401 : 413
    for (let time = 0; time < 20; time += 1) {
      const { failures, received } = await sendThenRead(
        head.replace(/\r\n$/, `content-length: ${bytes}\r\n\r\n`),
        bytes,
      )
      expect(failures).toEqual([])
      const [reply] = repliesIn(received)
      expectError(reply as RawReply, status)
      expect(reply?.headers['connection']).toBe('close')
    }
  })

  test('is cut off where it never ends', async () => {
    const { failures, sentBytes } = await sendThenRead(endless(`content-length: ${4_096 * MIB}\r\n`), 4_096 * MIB)
    expect(failures).toHaveLength(1)
    expect(sentBytes).toBeGreaterThan(100 * MIB)
    expect(sentBytes).toBeLessThan(1_024 * MIB)
  })

  test('is not waited for where it falls silent', async () => {
    const startedAtMs = performance.now()
    const [reply] = await exchange(endless(`content-length: ${40 * MIB}\r\n`))
    expectError(reply as RawReply, 413)
    expect(performance.now() - startedAtMs).toBeLessThan(20_000)
  })

  test('with headers that are too long gets the reply', async () => {
    const { failures, received } = await sendThenRead(`GET /v1/thing HTTP/1.1\r\nx: `, 8 * MIB)
    expect(failures).toEqual([])
    expectError(repliesIn(received)[0] as RawReply, 431)
  })
})

describe('a client that asks before it sends its body', () => {
  const asking = (path: string, length: number) =>
    `POST ${path} HTTP/1.1\r\n${CLOSE}content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: ${length}\r\n\r\n`

  test('is told to go on, then answered', async () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.write(asking('/v1/echo', 7))
    const [go] = (await once(socket, 'data')) as [Buffer]
    expect(go.toString()).toBe('HTTP/1.1 100 Continue\r\n\r\n')
    socket.write('{"a":1}')
    const [reply] = repliesIn((await buffer(socket)).toString())
    expect([reply?.status, reply?.text]).toEqual([200, '{"a":1}'])
  })

  test.each([
    ['its key is not good', '/v1/refused', 7, 401],
    ['its body is too long', '/v1/echo', 40 * MIB, 413],
    ['there is no such operation', '/v1/no', 7, 404],
  ])('is answered at once where %s', async (_, path, length, status) => {
    expectError(await only(asking(path, length)), status)
  })
})
