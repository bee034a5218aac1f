import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { AddressInfo } from 'node:net'
import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { createOutbound } from '../../../../infra/outbound/outbound.ts'
import { createUpstreamClient } from '../../../../infra/upstreams/client/client.ts'
import type { Chunk } from '../../../../infra/upstreams/chunk.ts'
import {
  UpstreamFailure,
  type UpstreamCall,
  type UpstreamClient,
  type UpstreamProbe,
  type UpstreamSettings,
} from '../../../../infra/upstreams/upstream.ts'
import { deferred, rejectedBy } from '../../fixtures.ts'
import { startLocalServer, type LocalServer } from './local-server.ts'
import { LARGE_HERE } from '../../../support/threads-here.ts'

let server: LocalServer
let client: UpstreamClient & UpstreamProbe
const outbound = createOutbound({ allowPrivate: false })
beforeAll(async () => {
  server = await startLocalServer()
  client = createUpstreamClient({ replyTimeoutMs: 60_000, idleTimeoutMs: 60_000 }, outbound, LARGE_HERE)
})
afterAll(async () => {
  await server.close()
  await client.close()
  await outbound.close()
})

const never = new AbortController().signal
const callWith = (signal = never): UpstreamCall => ({
  path: '/chat/completions',
  body: { model: 'm', seed: 1 },
  signal,
})
const json = (signal?: AbortSignal) => client.json(server.upstream, callWith(signal))
const events = (signal?: AbortSignal) => client.events(server.upstream, callWith(signal))
const failure = (work: Promise<unknown>) => rejectedBy(UpstreamFailure, work)

const reply =
  (status: number, body: unknown, headers: Record<string, string> = {}) =>
  (response: ServerResponse) =>
    void response
      .writeHead(status, { 'content-type': 'application/json', ...headers })
      .end(typeof body === 'string' ? body : JSON.stringify(body))
const stream = (text: string) => (response: ServerResponse) =>
  void response.writeHead(200, { 'content-type': 'text/event-stream', 'x-model': 'm' }).end(text)

/** What a stream's chunks say, its end aside. */
async function collect(items: AsyncIterable<Chunk[]>): Promise<string[]> {
  const all: Chunk[] = []
  for await (const together of items) all.push(...together)
  return all.map(chunk => chunk.text).filter(text => text !== '')
}

/** Resolves at the next message of a diagnostics channel. */
const published = (name: string): Promise<void> =>
  new Promise(resolve => {
    const take = () => {
      unsubscribe(name, take)
      resolve()
    }
    subscribe(name, take)
  })

const COMPLETION = {
  id: 'x',
  choices: [{ index: 0, message: { role: 'assistant', content: 'a' }, finish_reason: 'stop' }],
}

describe('a request', () => {
  test('has the key, the body and the path', async () => {
    const seen = deferred<{ url: string | undefined; headers: IncomingHttpHeaders; body: string }>()
    server.answer((response, { url, headers }, body) => {
      seen.resolve({ url, headers, body })
      reply(200, COMPLETION, { 'X-Ipop-Sandbox': 'true' })(response)
    })
    const { json: value, headers } = await json()
    expect(value).toEqual(COMPLETION)
    expect(headers.get('x-ipop-sandbox')).toBe('true')
    const request = await seen.promise
    expect(request.url).toBe('/v1/chat/completions')
    expect(request.headers).toMatchObject({ authorization: 'Bearer sk-upstream', 'content-type': 'application/json' })
    expect(JSON.parse(request.body)).toEqual({ model: 'm', seed: 1 })
  })

  test('has no key where there is none', async () => {
    const seen = deferred<IncomingHttpHeaders>()
    server.answer((response, { headers }) => {
      seen.resolve(headers)
      reply(200, COMPLETION)(response)
    })
    await client.json({ ...server.upstream, apiKey: undefined }, callWith())
    expect(await seen.promise).not.toHaveProperty('authorization')
  })
})

describe('the kind of a failure follows the status', () => {
  const error = (code?: string) => ({ error: { message: 'why', ...(code === undefined ? {} : { code }) } })
  test.each<[number, unknown, string, string | undefined]>([
    [400, error('context_length_exceeded'), 'rejected', 'context_length_exceeded'],
    [400, error('model_not_found'), 'unknown_model', 'model_not_found'],
    [400, { error: { message: 'why', type: 'invalid_request_error' } }, 'rejected', 'invalid_request_error'],
    [413, error(), 'rejected', undefined],
    [422, error(), 'rejected', undefined],
    [401, error('invalid_api_key'), 'refused', 'invalid_api_key'],
    [402, error(), 'refused', undefined],
    [403, error(), 'refused', undefined],
    [403, error('moderation_blocked'), 'rejected', 'moderation_blocked'],
    [
      403,
      {
        error: { code: 403, message: 'flagged', metadata: { reasons: ['x'], flagged_input: 'y', provider_name: 'z' } },
      },
      'rejected',
      'content_policy_violation',
    ],
    [404, error(), 'unknown_model', undefined],
    [408, error(), 'unavailable', undefined],
    [429, error(), 'rate_limited', undefined],
    [500, error(), 'unavailable', undefined],
    [502, '<html>Bad gateway</html>', 'unavailable', undefined],
    [503, '', 'unavailable', undefined],
    [529, error('overloaded'), 'unavailable', 'overloaded'],
    [302, '', 'unavailable', undefined],
    [201, {}, 'unavailable', undefined],
  ])('%s with %j is %s', async (status, body, kind, code) => {
    server.answer(reply(status, body, status === 302 ? { location: 'http://127.0.0.1:1/' } : {}))
    for (const work of [json(), events()]) {
      expect(await failure(work)).toMatchObject({ kind, status, code })
    }
  })

  test.each<[string, unknown, string | undefined]>([
    ['its words', { error: { message: 'why' } }, 'why'],
    ['its words where the error is a text', { error: 'why' }, 'why'],
    ['no words where it has none', { error: { code: 1 } }, undefined],
    ['no words where it is no error', { detail: 'why' }, undefined],
    ['no words where it is null', null, undefined],
    ['no words where it is not JSON', 'why', undefined],
    ['no more than 2,000 characters', { error: { message: 'x'.repeat(5_000) } }, 'x'.repeat(2_000)],
  ])('a rejection has %s, apart from the message that is logged', async (_what, body, detail) => {
    server.answer(reply(400, body))
    const rejection = await failure(json())
    expect(rejection.detail).toBe(detail)
    expect(rejection.message).toBe('the upstream answered 400')
  })
})

describe('Retry-After', () => {
  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1_000).toUTCString()
  test.each<[string, string | undefined, number, number]>([
    ['as a number', '7', 7, 7],
    ['beyond any number', '9'.repeat(400), 3_600, 3_600],
    ['missing', undefined, 5, 5],
    ['empty', '', 5, 5],
    ['of zero', '0', 1, 1],
    ['of years', '999999999', 3_600, 3_600],
    ['as a date', inSeconds(90), 30, 91],
    ['as a date that is past', inSeconds(-90), 1, 1],
    ['as a date that is far', inSeconds(1e6), 3_600, 3_600],
    ['with a fraction', '1.2', 2, 2],
    ['of next to nothing', '0.01', 1, 1],
    ['that is negative', '-3', 1, 1],
    ['that is absurd', '99999999999999999999', 3_600, 3_600],
    ['that is nonsense', 'soon', 5, 5],
  ])('%s', async (_what, header, least, most) => {
    for (const status of [429, 503]) {
      server.answer(reply(status, {}, header === undefined ? {} : { 'retry-after': header }))
      const { retryAfterSeconds = NaN } = await failure(json())
      expect(retryAfterSeconds).toBeGreaterThanOrEqual(least)
      expect(retryAfterSeconds).toBeLessThanOrEqual(most)
    }
  })

  test('means nothing of another failure', async () => {
    server.answer(reply(500, {}, { 'retry-after': '7' }))
    expect((await failure(json())).retryAfterSeconds).toBeUndefined()
  })
})

describe('a 200 that is a failure', () => {
  test.each<[string, unknown, string]>([
    ['with an error', { error: { message: 'overloaded', code: 503 } }, 'unavailable'],
    ['with an error at the limit', { error: { code: 429 } }, 'rate_limited'],
    ['with an error of the request', { error: { code: 400, message: 'no' } }, 'rejected'],
    ['with an error of our key', { error: { code: 401 } }, 'refused'],
    ['with an error without a status', { error: { message: 'x', code: 'boom' } }, 'unavailable'],
    ['with an error that is a text', { error: 'overloaded' }, 'unavailable'],
    ['with a choice that ended in one', { choices: [{ message: {}, finish_reason: 'error' }] }, 'unavailable'],
    ['without choices', { id: 'x' }, 'unavailable'],
    ['with no choice', { choices: [], usage: { prompt_tokens: 9, completion_tokens: 0 } }, 'unavailable'],
    ['that is a list', [], 'unavailable'],
    ['that is null', 'null', 'unavailable'],
    ['that is empty', '', 'unavailable'],
    ['that is HTML', '<html>', 'unavailable'],
  ])('%s', async (_what, body, kind) => {
    server.answer(reply(200, body))
    expect((await failure(json())).kind).toBe(kind)
    server.answer(stream(`data: ${typeof body === 'string' ? body : JSON.stringify(body)}\n\ndata: [DONE]\n\n`))
    expect((await failure(events())).kind).toBe(kind)
  })

  test.each([{ ...COMPLETION, error: null }, { choices: [null, { finish_reason: 'stop' }] }])(
    'but not %j',
    async body => {
      server.answer(reply(200, body))
      await expect(json()).resolves.toBeDefined()
    },
  )

  test.each([
    ['not JSON', 'nonsense'],
    ['an error', '{"error":{"message":"x"}}'],
  ])('a first event that is %s ends the upstream request', async (_what, data) => {
    const closed = deferred<void>()
    server.answer(response => {
      response.once('close', () => closed.resolve())
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write(`data: ${data}\n\n`)
    })
    expect((await failure(events())).kind).toBe('unavailable')
    await closed.promise
  })
})

describe('a stream', () => {
  test.each<[string, string, string[]]>([
    [
      'of events',
      'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[{"delta":{"content":"b"}}]}\n\ndata: [DONE]\n\n',
      ['a', 'b'],
    ],
    [
      'with CRLF and comments',
      ': PROCESSING\r\n\r\ndata: {"choices":[{"delta":{"content":"a"}}]}\r\n\r\n: ping\r\n\r\ndata: [DONE]\r\n\r\n',
      ['a'],
    ],
    [
      'with more after [DONE]',
      'data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\ndata: {"choices":[{"delta":{"content":"b"}}]}\n\n',
      ['a'],
    ],
  ])('%s', async (_what, text, data) => {
    server.answer(stream(text))
    const { events: items, headers } = await events()
    expect(await collect(items)).toEqual(data)
    expect(headers.get('x-model')).toBe('m')
  })

  test('in single bytes, with letters of several', async () => {
    const bytes = Buffer.from('data: {"choices":[{"delta":{"content":"é😀"}}]}\n\ndata: [DONE]\n\n')
    server.answer(response => {
      response.writeHead(200)
      response.socket?.setNoDelay(true)
      const next = (index: number): void => {
        if (index === bytes.length) return void response.end()
        response.write(bytes.subarray(index, index + 1), () => setImmediate(next, index + 1))
      }
      next(0)
    })
    expect(await collect((await events()).events)).toEqual(['é😀'])
  })

  test('resolves at the first event, before the end', async () => {
    const more = deferred<void>()
    server.answer(response => {
      response.writeHead(200).write('data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
      void more.promise.then(() => response.end('data: [DONE]\n\n'))
    })
    const { events: items } = await events()
    more.resolve()
    expect(await collect(items)).toEqual(['a'])
  })

  test('keeps its connection for the next request, though its end comes after its last event', async () => {
    const own = createUpstreamClient({ replyTimeoutMs: 60_000, idleTimeoutMs: 60_000 }, outbound, LARGE_HERE)
    const ports: unknown[] = []
    const read = deferred<void>()
    server.answer(response => {
      ports.push(response.socket?.remotePort)
      response.writeHead(200).write('data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: [DONE]\n\n')
      void read.promise.then(() => response.end())
    })
    await collect((await own.events(server.upstream, callWith())).events)
    const ended = published('undici:request:trailers')
    read.resolve()
    await ended
    // The connection is free in the turn after.
    await nextTurn()
    server.answer(response => {
      ports.push(response.socket?.remotePort)
      reply(200, COMPLETION)(response)
    })
    await own.json(server.upstream, callWith())
    expect(ports).toHaveLength(2)
    expect(ports[1]).toBe(ports[0])
    await own.close()
  })

  test.each<[string, (response: ServerResponse) => void]>([
    ['ends without [DONE]', response => void response.end()],
    ['is cut', response => void response.destroy()],
  ])('that %s has broken off', async (_what, end) => {
    server.answer(response =>
      response.writeHead(200).write('data: {"choices":[{"delta":{"content":"a"}}]}\n\n', () => end(response)),
    )
    const received: string[] = []
    const reading = events().then(async ({ events: items }) => {
      for await (const together of items) received.push(...together.map(chunk => chunk.text))
    })
    expect((await failure(reading)).kind).toBe('unavailable')
  })

  test.each<[string, string]>([
    ['without an event', ''],
    ['with comments alone', ': hello\n\n'],
    ['with [DONE] alone', 'data: [DONE]\n\n'],
    ['with a role alone', 'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\ndata: [DONE]\n\n'],
    [
      'with figures alone',
      'data: {"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":0}}\n\ndata: [DONE]\n\n',
    ],
  ])('that ends %s fails before it begins', async (_what, text) => {
    server.answer(stream(text))
    expect((await failure(events())).kind).toBe('unavailable')
  })

  test('that is left early ends the upstream request', async () => {
    const closed = deferred<void>()
    server.answer(response => {
      response.once('close', () => closed.resolve())
      response
        .writeHead(200)
        .write('data: {"choices":[{"delta":{"content":"a"}}]}\n\ndata: {"choices":[{"delta":{"content":"b"}}]}\n\n')
    })
    const { events: items } = await events()
    for await (const item of items) {
      expect(item[0]?.text).toBe('a')
      break
    }
    await closed.promise
  })
})

describe('a download', () => {
  const download = () => client.download(server.upstream, { path: '/videos/1/content', signal: never })

  test('gives the bytes as they are, and their type', async () => {
    const bytes = Buffer.from([0, 255, 1, 254])
    server.answer(response => void response.writeHead(200, { 'content-type': 'video/mp4' }).end(bytes))
    const { body, contentType } = await download()
    expect(contentType).toBe('video/mp4')
    expect(Buffer.concat((await body.toArray()) as Buffer[])).toEqual(bytes)
  })

  test('that nobody reads ends the upstream request where it is destroyed', async () => {
    const closed = deferred<{ whole: boolean }>()
    server.answer(response => {
      response.once('close', () => closed.resolve({ whole: response.writableFinished }))
      response.writeHead(200).write('a')
    })
    const { body } = await download()
    body.destroy()
    expect(await closed.promise).toEqual({ whole: false })
  })
})

describe('aborting', () => {
  test.each<[string, (signal: AbortSignal) => Promise<unknown>]>([
    ['a reply', signal => json(signal)],
    ['a stream', signal => events(signal)],
  ])('%s that does not come ends the upstream request', async (_what, send) => {
    const controller = new AbortController()
    const closed = deferred<void>()
    server.answer(response => {
      response.once('close', () => closed.resolve())
      controller.abort(new Error('left'))
    })
    expect((await failure(send(controller.signal))).kind).toBe('aborted')
    await closed.promise
  })

  test('a stream under way rejects its reader and ends the upstream request', async () => {
    const controller = new AbortController()
    const closed = deferred<void>()
    server.answer(response => {
      response.once('close', () => closed.resolve())
      response.writeHead(200).write('data: {"choices":[{"delta":{"content":"a"}}]}\n\n')
    })
    const { events: items } = await events(controller.signal)
    const reading = collect(items)
    controller.abort(new Error('left'))
    expect((await failure(reading)).kind).toBe('aborted')
    await closed.promise
  })

  test('before the call sends nothing', async () => {
    server.answer(() => {
      throw new Error('the upstream was asked')
    })
    expect((await failure(json(AbortSignal.abort()))).kind).toBe('aborted')
  })
})

describe('an upstream that is', () => {
  test('not there is unavailable, and says so without an address', async () => {
    const closed = createServer().listen(0, '127.0.0.1')
    await once(closed, 'listening')
    const { port } = closed.address() as AddressInfo
    closed.close()
    await once(closed, 'close')
    const gone = await failure(client.json({ ...server.upstream, baseUrl: `http://127.0.0.1:${port}` }, callWith()))
    expect(gone.kind).toBe('unavailable')
    expect(gone.message).toMatch(/^the connection failed/)
    expect(gone.message).not.toContain('127.0.0.1')
  })

  test('closing the connection without a word is unavailable', async () => {
    server.answer(response => void response.socket?.destroy())
    expect((await failure(json())).kind).toBe('unavailable')
  })

  test('closing it within the reply is unavailable', async () => {
    server.answer(response =>
      response.writeHead(200, { 'content-length': '100' }).write('{"a":', () => response.destroy()),
    )
    expect((await failure(json())).kind).toBe('unavailable')
  })
})

describe('an upstream that falls silent times out', () => {
  type Send = (quick: UpstreamClient, upstream: UpstreamSettings) => Promise<unknown>
  const forJson: Send = (quick, upstream) => quick.json(upstream, callWith())
  const forEvents: Send = async (quick, upstream) => collect((await quick.events(upstream, callWith())).events)
  const cases: [string, (response: ServerResponse) => void, Send][] = [
    ['before the reply', () => undefined, forJson],
    ['within a reply', response => void response.writeHead(200).write('{'), forJson],
    ['before the first event', response => void response.writeHead(200).flushHeaders(), forEvents],
    [
      'within a stream',
      response => void response.writeHead(200).write('data: {"choices":[{"delta":{"content":"a"}}]}\n\n'),
      forEvents,
    ],
  ]
  const outcomes = new Map<string, UpstreamFailure>()

  // At once, since the timers of the client have the grain of a second.
  beforeAll(async () => {
    const quick = createUpstreamClient({ replyTimeoutMs: 100, idleTimeoutMs: 100 }, outbound, LARGE_HERE)
    const outcomeOf = async ([name, answer, send]: (typeof cases)[number]) => {
      const silent = await startLocalServer()
      silent.answer(answer)
      outcomes.set(name, await failure(send(quick, silent.upstream)))
      await silent.close()
    }
    await Promise.all(cases.map(outcomeOf))
    await quick.close()
  })

  test.each(cases)('%s', name => {
    expect(outcomes.get(name)?.kind).toBe('timeout')
  })
})

test('an upstream that a user names goes through the outbound door', async () => {
  let connections = 0
  server.answer(response => {
    connections += 1
    reply(200, {})(response)
  })
  const named = { ...server.upstream, userSupplied: true }
  expect(await failure(client.json(named, callWith()))).toMatchObject({
    kind: 'unavailable',
    message: expect.stringContaining('OUTBOUND_REFUSED'),
  })
  expect(await failure(client.events(named, callWith()))).toMatchObject({ kind: 'unavailable' })
  expect(await failure(client.probe(named, never))).toMatchObject({ kind: 'unavailable' })
  expect(connections).toBe(0)
  await client.probe(server.upstream, never)
  expect(connections).toBe(1)
})
