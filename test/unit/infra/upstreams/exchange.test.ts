import { describe, expect, test } from '@jest/globals'
import type { Dispatcher } from 'undici'
import { sendRequest, type IncomingReply } from '../../../../infra/upstreams/exchange.ts'
import { rejectedBy } from '../../fixtures.ts'
import { UpstreamFailure } from '../../../../infra/upstreams/upstream.ts'

const MEBIBYTE = 1024 * 1024

/** A dispatcher whose connection the test plays, with what was told to it. */
function connection() {
  let handler: Required<Dispatcher.DispatchHandler> | undefined
  const told: string[] = []
  const controller: Dispatcher.DispatchController = {
    paused: false,
    aborted: false,
    reason: null,
    rawHeaders: null,
    rawTrailers: null,
    pause: () => void (told.push('pause'), Object.assign(controller, { paused: true })),
    resume: () => void (told.push('resume'), Object.assign(controller, { paused: false })),
    abort: reason => void told.push(`abort: ${reason.message}`),
  }
  const dispatcher = {
    dispatch: (_options: unknown, given: Required<Dispatcher.DispatchHandler>) => void (handler = given),
  } as unknown as Dispatcher
  return {
    dispatcher,
    told,
    connect: () => handler?.onRequestStart(controller, {}),
    head: () => handler?.onResponseStart(controller, 200, {}),
    data: (bytes: Buffer) => handler?.onResponseData(controller, bytes),
    end: () => handler?.onResponseEnd(controller, {}),
  }
}

const REQUEST = { origin: 'http://upstream.test', path: '/', method: 'GET' as const }

async function replyUnderWay(signal = new AbortController().signal) {
  const upstream = connection()
  const sent = sendRequest(upstream.dispatcher, REQUEST, signal)
  upstream.connect()
  upstream.head()
  const reply: IncomingReply = await sent
  return { upstream, body: reply.body }
}

describe('a body', () => {
  test('that nobody reads holds the upstream back, until it is read', async () => {
    const { upstream, body } = await replyUnderWay()
    upstream.data(Buffer.alloc(MEBIBYTE / 8))
    expect(upstream.told).toEqual([])
    upstream.data(Buffer.alloc(MEBIBYTE / 4))
    expect(upstream.told).toEqual(['pause'])
    expect(await body.read()).toHaveLength((MEBIBYTE * 3) / 8)
    expect(upstream.told).toEqual(['pause', 'resume'])
  })

  test('whose rest is not wanted is let come, and not kept', async () => {
    const { upstream, body } = await replyUnderWay()
    upstream.data(Buffer.alloc(MEBIBYTE))
    body.finish()
    upstream.data(Buffer.alloc(MEBIBYTE))
    upstream.end()
    expect(upstream.told).toEqual(['pause', 'resume'])
  })

  test('gives what came before it ended, however late it is read', async () => {
    const { upstream, body } = await replyUnderWay()
    upstream.data(Buffer.from('a'))
    upstream.data(Buffer.from('b'))
    upstream.end()
    expect((await body.read())?.toString()).toBe('ab')
    expect(await body.read()).toBeUndefined()
  })

  test('is one text, however it comes', async () => {
    const { upstream, body } = await replyUnderWay()
    upstream.data(Buffer.from('früh').subarray(0, 3))
    const text = body.whole()
    upstream.data(Buffer.from('früh').subarray(3))
    upstream.end()
    expect(await text).toBe('früh')
    expect(upstream.told).toEqual([])
  })

  test('is taken whole, and not held back, as bytes where it is large', async () => {
    const { upstream, body } = await replyUnderWay()
    upstream.data(Buffer.alloc(MEBIBYTE))
    expect(upstream.told).toEqual(['pause'])
    const text = body.whole()
    upstream.data(Buffer.alloc(MEBIBYTE))
    upstream.end()
    expect(Buffer.concat((await text) as Uint8Array[])).toHaveLength(2 * MEBIBYTE)
    expect(upstream.told).toEqual(['pause', 'resume'])
  })

  test('is no text where it is larger than one may be', async () => {
    const { upstream, body } = await replyUnderWay()
    const text = body.whole()
    for (let sent = 0; sent < 64; sent += 1) upstream.data(Buffer.alloc(MEBIBYTE))
    expect(upstream.told).toEqual([])
    upstream.data(Buffer.alloc(1))
    expect(await rejectedBy(UpstreamFailure, text)).toMatchObject({ kind: 'unavailable' })
    expect(upstream.told).toEqual(['abort: the reply is too large'])
  })
})

describe('aborting', () => {
  test('before there is a connection ends the request as soon as there is one', async () => {
    const upstream = connection()
    const controller = new AbortController()
    const sent = sendRequest(upstream.dispatcher, REQUEST, controller.signal)
    controller.abort(new Error('left'))
    await expect(sent).rejects.toThrow('left')
    expect(upstream.told).toEqual([])
    upstream.connect()
    expect(upstream.told).toEqual(['abort: left'])
  })

  test('after the reply has come whole changes nothing', async () => {
    const controller = new AbortController()
    const { upstream, body } = await replyUnderWay(controller.signal)
    upstream.data(Buffer.from('whole'))
    upstream.end()
    controller.abort(new Error('left'))
    expect(await body.whole()).toBe('whole')
    expect(upstream.told).toEqual([])
  })
})
