import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { ServerResponse } from 'node:http'
import { createOutbound } from '../../../../../infra/outbound/outbound.ts'
import { createUpstreamClient } from '../../../../../infra/upstreams/client/client.ts'
import type { Chunk } from '../../../../../infra/upstreams/chunk.ts'
import { UpstreamFailure, type UpstreamClient, type UpstreamSettings } from '../../../../../infra/upstreams/upstream.ts'
import {
  documentedErrors,
  eventText,
  exchange,
  replyWith,
  startAnthropic,
  type FakeAnthropic,
  type Fields,
} from '../../../../support/fake-anthropic.ts'
import { deferred, rejectedBy } from '../../../fixtures.ts'
import { LARGE_HERE } from '../../../../support/threads-here.ts'

let server: FakeAnthropic
let client: UpstreamClient
let upstream: UpstreamSettings
const outbound = createOutbound({ allowPrivate: false })
beforeAll(async () => {
  server = await startAnthropic()
  client = createUpstreamClient({ replyTimeoutMs: 60_000, idleTimeoutMs: 60_000 }, outbound, LARGE_HERE)
  upstream = { id: 'byok', baseUrl: server.url, apiKey: 'sk-ant-test', external: true, wire: 'anthropic' }
})
afterAll(async () => {
  await server.close()
  await client.close()
  await outbound.close()
})

const BODY = { model: 'claude-sonnet-4-6', messages: [{ role: 'user', content: 'x' }] }
const call = (body: Fields = BODY, signal = new AbortController().signal) => ({
  path: '/chat/completions' as const,
  body,
  signal,
})
const failure = (work: Promise<unknown>) => rejectedBy(UpstreamFailure, work)
const json = () => client.json(upstream, call())
const events = (signal?: AbortSignal) => client.events(upstream, call({ ...BODY, stream: true }, signal))
async function read(received: Chunk[] = [], signal?: AbortSignal): Promise<Chunk[]> {
  for await (const chunks of (await events(signal)).events) received.push(...chunks)
  return received
}

const EVENTS = exchange('text').stream?.anthropic ?? []
/** The events up to the last piece of text. */
const BEGUN = EVENTS.slice(0, 5)
const stream = (text: string) => (response: ServerResponse) =>
  void response.writeHead(200, { 'content-type': 'text/event-stream' }).end(text)

describe.each(documentedErrors())('$status $body.error.message', ({ status, body, kind, code }) => {
  const told = { kind, status, code, detail: body['error'].message }
  const answer = (response: ServerResponse) => replyWith(response, status, body)

  test('of a reply, and of a stream before it begins', async () => {
    for (const work of [json, events]) {
      server.nextWith(answer)
      expect(await failure(work())).toMatchObject({ ...told, message: `the upstream answered ${status}` })
    }
  })

  test('as the first event, after pings, and within a 200', async () => {
    server.nextWith(stream(eventText([{ type: 'ping' }, body])))
    expect(await failure(events())).toMatchObject(told)
    server.nextWith(response => replyWith(response, 200, body))
    expect(await failure(json())).toMatchObject(told)
  })

  test('within a stream', async () => {
    const received: Chunk[] = []
    server.nextWith(stream(eventText([...BEGUN, body, ...EVENTS.slice(5)])))
    expect(await failure(read(received))).toMatchObject(told)
    expect(received.map(({ choices }) => choices[0]?.['delta'])).toEqual([
      { role: 'assistant', content: '' },
      { content: 'The Dan' },
      { content: 'ube – 🏞.' },
    ])
  })
})

test('a limit says when to try again', async () => {
  const [limit] = documentedErrors().filter(({ status }) => status === 429)
  server.nextWith(response => replyWith(response, 429, limit?.body, { 'retry-after': '17' }))
  expect(await failure(json())).toMatchObject({ kind: 'rate_limited', retryAfterSeconds: 17 })
})

test('an error of a type yet unknown is of the upstream', async () => {
  server.nextWith(stream(eventText([{ type: 'error', error: { type: 'new_error', message: 'x' } }])))
  expect(await failure(events())).toMatchObject({ kind: 'unavailable', code: 'new_error' })
  server.nextWith(stream(eventText([{ type: 'error' }])))
  expect(await failure(events())).toMatchObject({ kind: 'unavailable' })
})

test('a request that cannot be told is not sent', async () => {
  server.seen()
  const refused = await failure(client.json(upstream, call({ ...BODY, n: 2 })))
  expect(refused).toMatchObject({ kind: 'rejected', status: 400, sentence: expect.stringContaining('`n`') })
  expect(await failure(client.events(upstream, call({ ...BODY, n: 2 })))).toMatchObject({ kind: 'rejected' })
  const embed = { path: '/embeddings' as const, body: {}, signal: new AbortController().signal }
  expect(await failure(client.json(upstream, embed))).toMatchObject({ kind: 'unknown_model' })
  expect(server.seen()).toEqual([])
})

describe('a reply that is no message is unavailable', () => {
  test.each([{}, { type: 'completion' }, { error: 'x' }, []])('%j', async body => {
    server.nextWith(response => replyWith(response, 200, body))
    expect(await failure(json())).toMatchObject({ kind: 'unavailable' })
  })
})

describe('a message of odd fields is read as far as it goes', () => {
  const reply = { type: 'message', id: 'm', model: 'x', content: [], stop_reason: 'end_turn' }
  test.each<[string, Fields, Fields, string]>([
    ['nothing', {}, { content: null }, 'stop'],
    ['no content', { content: null }, { content: null }, 'stop'],
    ['blocks that are none', { content: [null, 'a', { type: 'text', text: 1 }] }, { content: '' }, 'stop'],
    ['blocks yet unknown', { content: [{ type: 'new' }, { type: 'text', text: 'a' }] }, { content: 'a' }, 'stop'],
    [
      'several texts',
      {
        content: [
          { type: 'text', text: 'a' },
          { type: 'text', text: 'b' },
        ],
      },
      { content: 'ab' },
      'stop',
    ],
    ['a refusal', { stop_reason: 'refusal' }, { content: null }, 'content_filter'],
    ['a pause', { stop_reason: 'pause_turn' }, { content: null }, 'stop'],
    ['a stop', { stop_reason: 'stop_sequence' }, { content: null }, 'stop'],
    ['the end of its window', { stop_reason: 'model_context_window_exceeded' }, { content: null }, 'length'],
    ['a reason yet unknown', { stop_reason: 'toString' }, { content: null }, 'stop'],
  ])('%s', async (_what, changes, message, finish) => {
    server.nextWith(response => replyWith(response, 200, { ...reply, ...changes }))
    const { json: completion } = await json()
    expect(completion).toMatchObject({ choices: [{ message, finish_reason: finish }] })
    expect(completion).not.toHaveProperty('usage')
  })
})

describe('a stream', () => {
  test.each<[string, Fields[]]>([
    ['cut within a block', BEGUN],
    ['of nothing', []],
    ['of pings', [{ type: 'ping' }]],
  ])('%s has broken off', async (_what, told) => {
    server.nextWith(stream(eventText(told)))
    expect(await failure(read())).toMatchObject({ kind: 'unavailable' })
  })

  test.each<[string, Fields[]]>([
    ['without its last event', EVENTS.slice(0, -1)],
    ['without its reason', EVENTS.filter(({ type }) => type !== 'message_delta')],
  ])('%s is whole where something was said', async (_what, told) => {
    server.nextWith(stream(eventText(told)))
    expect((await read()).at(-1)?.choices).toEqual([{ index: 0, delta: {}, finish_reason: 'stop' }])
  })

  test('that is not JSON is unavailable', async () => {
    server.nextWith(stream('event: message_start\ndata: nonsense\n\n'))
    expect(await failure(events())).toMatchObject({ kind: 'unavailable' })
  })

  test('of odd events is read as far as it goes', async () => {
    const odd: Fields[] = [
      { type: 'message_start' },
      { type: 'new_event' },
      { type: 'constructor' },
      { type: 7 },
      { type: 'content_block_start', index: 0 },
      { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text: 'lost' } },
      { type: 'content_block_start', index: 1, content_block: { type: 'text', text: 'a' } },
      { type: 'content_block_delta', index: 1 },
      { type: 'content_block_delta', index: 1, delta: { type: 'new_delta', text: 'b' } },
      { type: 'content_block_delta', index: 1, delta: { type: 'text_delta', text: {} } },
      { type: 'content_block_delta', index: 9, delta: { type: 'text_delta', text: 'c' } },
      { type: 'content_block_stop', index: 9 },
      { type: 'message_delta' },
      { type: 'message_delta', delta: { stop_reason: 'end_turn' }, usage: null },
      { type: 'message_stop' },
    ]
    server.nextWith(stream(eventText(odd)))
    const chunks = (await read()).flatMap(({ choices }) => choices)
    expect(chunks.map(({ delta, finish_reason }) => ({ ...(delta as Fields), finish_reason }))).toEqual([
      { role: 'assistant', content: '', finish_reason: null },
      { content: 'a', finish_reason: null },
      { content: 'c', finish_reason: null },
      { finish_reason: 'stop' },
    ])
  })

  test('that is left early ends the upstream request', async () => {
    const closed = deferred<void>()
    server.nextWith(response => {
      response.once('close', () => closed.resolve())
      response.writeHead(200).write(eventText(BEGUN))
    })
    for await (const data of (await events()).events) {
      expect(data[0]?.choices[0]).toMatchObject({ delta: { role: 'assistant' } })
      break
    }
    await closed.promise
  })

  test('that is aborted rejects its reader and ends the upstream request', async () => {
    const controller = new AbortController()
    const closed = deferred<void>()
    server.nextWith(response => {
      response.once('close', () => closed.resolve())
      response.writeHead(200).write(eventText(BEGUN))
    })
    const { events: items } = await events(controller.signal)
    const reading = (async () => {
      for await (const item of items) expect(item[0]?.choices).toHaveLength(1)
    })()
    controller.abort(new Error('left'))
    expect(await failure(reading)).toMatchObject({ kind: 'aborted' })
    await closed.promise
  })
})
