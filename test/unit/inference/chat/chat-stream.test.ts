import { describe, expect, test } from '@jest/globals'
import type { ChatCall } from '../../../../domain/inference/chat/chat-call.ts'
import { chatEvents, chatParts, DONE } from '../../../../domain/inference/chat/chat-stream.ts'
import type { Chunk } from '../../../../infra/upstreams/chunk.ts'
import { UpstreamFailure } from '../../../../infra/upstreams/upstream.ts'
import { chunkOf } from '../../../support/chunks.ts'
import { deferred, settled } from '../../fixtures.ts'

const chatChunks = (call: ChatCall, chunks: AsyncIterable<Chunk[]>, withUsage: boolean) =>
  chatEvents(chatParts(call, chunks), withUsage)

const ipop = { request_id: 'r', latency_ms: 1, cost_usd: 0, cache_hit: false }

/** A call that writes down what happens to it. As the real one, it has one end. */
function recorded(complete: () => Promise<void> = () => Promise.resolve()) {
  const seen: string[] = []
  let ended = false
  const call = {
    head: { id: 'chatcmpl-r', created: 1, model: 'm' },
    get hasEnded() {
      return ended
    },
    sawChunk: (chunk: object) => void seen.push(`saw ${JSON.stringify(chunk)}`),
    complete: async () => {
      ended = true
      seen.push('completing')
      await complete()
      seen.push('completed')
      return { usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }, ipop }
    },
    fail: async (error: unknown) => {
      if (ended) return
      ended = true
      seen.push(error instanceof UpstreamFailure ? `failed: ${error.kind}` : 'failed')
    },
  }
  return { call: call as unknown as ChatCall, seen, ends: () => seen.filter(line => !line.startsWith('saw')) }
}

const chunk = (content: string) => chunkOf({ content })
const usageChunk: Chunk = { choices: [], choicesJson: undefined, text: '', usage: { input: 1, output: 1 } }

async function* stream(...data: (Chunk | Error)[]): AsyncGenerator<Chunk[]> {
  for (const item of data) {
    if (item instanceof Error) throw item
    yield [item]
  }
}

async function collect(events: AsyncIterable<string[]>): Promise<string[]> {
  const all: string[] = []
  for await (const data of events) all.push(...data)
  return all
}

const isErrorEvent = (data: string | undefined): boolean => data !== undefined && data.includes('"error"')

describe('a stream that goes well', () => {
  test('is its chunks in closed form, then [DONE]', async () => {
    const { call, ends } = recorded()
    const all = await collect(chatChunks(call, stream(chunk('a'), chunk('b'), usageChunk), false))
    expect(all).toHaveLength(3)
    expect(JSON.parse(all[0] ?? '')).toEqual({
      id: 'chatcmpl-r',
      created: 1,
      model: 'm',
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta: { content: 'a' }, finish_reason: null }],
    })
    expect(all.at(-1)).toBe(DONE)
    expect(ends()).toEqual(['completing', 'completed'])
  })

  test('tells its usage before [DONE] where that was asked', async () => {
    const { call } = recorded()
    const all = await collect(chatChunks(call, stream(chunk('a'), usageChunk), true))
    expect(JSON.parse(all.at(-2) ?? '')).toMatchObject({
      choices: [],
      usage: { total_tokens: 3 },
      ipop: { request_id: 'r' },
    })
    expect(all.at(-1)).toBe(DONE)
  })

  test('the call sees every chunk, also those that are not passed on', async () => {
    const { call, seen } = recorded()
    await collect(chatChunks(call, stream(chunk('a'), usageChunk), false))
    expect(seen.filter(line => line.startsWith('saw'))).toHaveLength(2)
  })

  test('[DONE] leaves only after the call is recorded', async () => {
    const commit = deferred<void>()
    const { call } = recorded(() => commit.promise)
    const events = chatChunks(call, stream(chunk('a')), true)
    await events.next()
    let isClosing = false
    const closing = events.next().then(next => {
      isClosing = true
      return next
    })
    await settled()
    expect(isClosing).toBe(false)
    commit.resolve()
    expect((await closing).value).toEqual([expect.stringContaining('usage')])
    expect((await events.next()).value).toEqual([DONE])
  })
})

describe('chunks that arrive together', () => {
  async function* arriving(...together: Chunk[]): AsyncGenerator<Chunk[]> {
    yield together
  }

  test('leave together', async () => {
    const { call } = recorded()
    const events = chatChunks(call, arriving(chunk('a'), chunk('b')), false)
    expect((await events.next()).value).toEqual([expect.stringContaining('"a"'), expect.stringContaining('"b"')])
  })
})

describe('a stream that fails ends with an error event and no [DONE]', () => {
  test.each<[string, (Chunk | Error)[], string]>([
    ['the upstream broke off', [chunk('a'), new UpstreamFailure('unavailable', 'broke off')], 'failed: unavailable'],
    ['the upstream was silent', [chunk('a'), new UpstreamFailure('timeout', 'late')], 'failed: timeout'],
    ['a fault of ours', [chunk('a'), new TypeError('secret detail')], 'failed'],
  ])('%s', async (_what, data, end) => {
    const { call, ends } = recorded()
    const all = await collect(chatChunks(call, stream(...data), true))
    expect(all).toHaveLength(2)
    expect(JSON.parse(all[1] ?? '')).toEqual({
      error: { message: expect.any(String), type: 'upstream_error', code: 'service_unavailable', param: null },
    })
    expect(all[1]).not.toContain('secret')
    expect(ends()).toEqual([end])
  })

  test('a call that could not be recorded', async () => {
    const { call, ends } = recorded(() => Promise.reject(new Error('the database is away')))
    const all = await collect(chatChunks(call, stream(chunk('a')), true))
    expect(all).toHaveLength(2)
    expect(isErrorEvent(all[1])).toBe(true)
    expect(ends()).toEqual(['completing'])
  })
})

describe('a client that goes away', () => {
  test('while reading ends the call as canceled and the upstream with it', async () => {
    const { call, ends } = recorded()
    let isClosed = false
    const upstream = (async function* () {
      try {
        for (;;) yield [chunk('a')]
      } finally {
        isClosed = true
      }
    })()
    const events = chatChunks(call, upstream, true)
    await events.next()
    await events.next()
    await events.return(undefined)
    expect(isClosed).toBe(true)
    expect(ends()).toEqual(['failed: aborted'])
  })

  test('whose upstream call was aborted gets no error event', async () => {
    const { call, ends } = recorded()
    const all = await collect(chatChunks(call, stream(chunk('a'), new UpstreamFailure('aborted', 'gone')), true))
    expect(all).toHaveLength(1)
    expect(ends()).toEqual(['failed: aborted'])
  })

  test('after the last chunk changes nothing', async () => {
    const { call, ends } = recorded()
    const events = chatChunks(call, stream(chunk('a')), false)
    await events.next()
    expect((await events.next()).value).toEqual([DONE])
    await events.return(undefined)
    expect(ends()).toEqual(['completing', 'completed'])
  })
})
