import { once } from 'node:events'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { LookupAddress } from 'node:dns'
import type { AddressInfo } from 'node:net'
import { request } from 'undici'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals'
import { OutboundFailure, type OutboundFailureKind } from '../../../../infra/outbound/failure.ts'
import { createOutbound, type FetchOptions, type Outbound } from '../../../../infra/outbound/outbound.ts'
import { rejectedBy } from '../../fixtures.ts'

const PUBLIC: LookupAddress = { address: '1.1.1.1', family: 4 }
const LOOPBACK: LookupAddress = { address: '127.0.0.1', family: 4 }

let server: Server
let port: number
let connections = 0
let answer: RequestListener
/** What names resolve to, one answer after the other; the last one stays. */
let answers: LookupAddress[][]
let asked: string[]
let strict: Outbound
let ofTheWeb: Outbound
let lenient: Outbound

beforeAll(async () => {
  server = createServer((incoming, response) => answer(incoming, response))
  server.on('connection', () => void (connections += 1))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
  const resolve = async (hostname: string) => {
    asked.push(hostname)
    return (answers.length > 1 ? answers.shift() : answers[0]) ?? []
  }
  strict = createOutbound({ allowPrivate: false, ports: [443, port], resolve })
  ofTheWeb = createOutbound({ allowPrivate: false, resolve })
  lenient = createOutbound({ allowPrivate: true, resolve })
})
beforeEach(() => {
  connections = 0
  answers = [[LOOPBACK]]
  asked = []
  answer = (_, response) => void response.writeHead(200, { 'content-type': 'text/plain; charset=x' }).end('hello')
})
afterAll(async () => {
  await strict.close()
  await ofTheWeb.close()
  await lenient.close()
  server.closeAllConnections()
  server.close()
})

const OPTIONS: FetchOptions = { limitBytes: 1_000, timeoutMs: 5_000, signal: new AbortController().signal }
const url = (host = 'files.example') => `http://${host}:${port}/a?b=1`
const kindOf = async (work: Promise<unknown>): Promise<OutboundFailureKind> =>
  (await rejectedBy(OutboundFailure, work)).kind
const fetching = (options: Partial<FetchOptions> = {}) => lenient.fetchBytes(url(), { ...OPTIONS, ...options })

const HOSTILE: [string, string][] = [
  ['plain HTTP', 'http://1.1.1.1/'],
  ['another scheme', 'ftp://1.1.1.1/'],
  ['a file', 'file:///etc/passwd'],
  ['data', 'data:text/plain,x'],
  ['no URL', 'files.example'],
  ['nothing', ''],
  ['a very long one', `https://files.example/${'x'.repeat(10_000)}`],
  ['a user', 'https://user@1.1.1.1/'],
  ['a password', 'https://:pw@1.1.1.1/'],
  ['loopback', 'https://127.0.0.1/'],
  ['loopback, short', 'https://127.1/'],
  ['loopback in hex', 'https://0x7f000001/'],
  ['loopback in octal', 'https://0177.0.0.1/'],
  ['loopback as a number', 'https://2130706433/'],
  ['loopback in full-width digits', 'https://１２７.0.0.1/'],
  ['metadata of clouds', 'https://169.254.169.254/latest/meta-data'],
  ['IPv6 loopback', 'https://[::1]/'],
  ['IPv6 loopback, mapped', 'https://[::ffff:127.0.0.1]/'],
  ['NAT64', 'https://[64:ff9b::7f00:1]/'],
  ['IPv6 unspecified', 'https://[::]/'],
]

describe('ports', () => {
  test.each([22, 25, 6379, 8443, 65_535])('other than those of the web are refused: %d', async other => {
    const target = `https://1.1.1.1:${other}/`
    for (const work of [ofTheWeb.check(target), ofTheWeb.fetchBytes(target, OPTIONS)]) {
      expect(await rejectedBy(OutboundFailure, work)).toMatchObject({
        kind: 'refused',
        message: 'the port must be 443 or 80',
      })
    }
    expect(asked).toEqual([])
  })

  test.each(['https://1.1.1.1/', 'https://1.1.1.1:443/', 'https://1.1.1.1:80/'])(
    'of the web are not: %s',
    async target => {
      expect((await ofTheWeb.check(target)).href).toBe(new URL(target).href)
    },
  )

  test('are looked at again where a connection is made', async () => {
    answers = [[PUBLIC]]
    const dispatcher = ofTheWeb.dispatcher({ replyTimeoutMs: 1_000, idleTimeoutMs: 1_000 })
    const refused = request(`https://a.example:${port}/`, { dispatcher })
    await expect(refused).rejects.toMatchObject({ code: 'OUTBOUND_REFUSED', message: 'the port must be 443 or 80' })
    expect(asked).toEqual([])
    await dispatcher.close()
  })

  test('are those that the operator names, also where private addresses are allowed', async () => {
    const named = createOutbound({ allowPrivate: true, ports: [8443] })
    expect((await named.check('http://127.0.0.1:8443/')).port).toBe('8443')
    expect(await kindOf(named.check('http://127.0.0.1:8444/'))).toBe('refused')
    expect(await kindOf(named.check('https://127.0.0.1/'))).toBe('refused')
    await named.close()
  })
})

describe('without private addresses', () => {
  test.each(HOSTILE)('refuses %s, and asks nobody', async (_, text) => {
    expect(await kindOf(strict.fetchBytes(text, OPTIONS))).toBe('refused')
    expect(await kindOf(strict.check(text))).toBe('refused')
    expect({ asked, connections }).toEqual({ asked: [], connections: 0 })
  })

  test.each<[string, LookupAddress[]]>([
    ['loopback', [LOOPBACK]],
    ['a public and a private address', [PUBLIC, LOOPBACK]],
    ['IPv6 loopback', [{ address: '::1', family: 6 }]],
    ['a mapped address', [{ address: '::ffff:127.0.0.1', family: 6 }]],
    ['nothing', []],
  ])('refuses a name that resolves to %s', async (_, addresses) => {
    answers = [addresses]
    const target = `https://files.example:${port}/`
    expect(await kindOf(strict.fetchBytes(target, OPTIONS))).toBe('refused')
    expect(await kindOf(strict.check(target))).toBe('refused')
    expect({ asked, connections }).toEqual({ asked: ['files.example', 'files.example'], connections: 0 })
  })

  test('refuses a name that turns private after it was checked (rebinding)', async () => {
    answers = [[PUBLIC], [LOOPBACK]]
    const target = `https://rebinding.example:${port}/`
    expect((await strict.check(target)).hostname).toBe('rebinding.example')
    expect(await kindOf(strict.fetchBytes(target, OPTIONS))).toBe('refused')
    expect(connections).toBe(0)
  })

  test('a name that resolves to nothing looks like one that resolves to a private address', async () => {
    answers = [[]]
    const unknown = await rejectedBy(OutboundFailure, strict.check('https://a.example/'))
    answers = [[LOOPBACK]]
    const inside = await rejectedBy(OutboundFailure, strict.check('https://a.example/'))
    expect([unknown.message, unknown.kind]).toEqual([inside.message, inside.kind])
  })

  test("other clients' connections are held to the same", async () => {
    const dispatcher = strict.dispatcher({ replyTimeoutMs: 1_000, idleTimeoutMs: 1_000 })
    for (const target of [
      `http://127.0.0.1:${port}/`,
      `https://127.0.0.1:${port}/`,
      `https://[::1]:${port}/`,
      `https://a.example:${port}/`,
      `http://a.example:${port}/`,
    ]) {
      await expect(request(target, { dispatcher })).rejects.toMatchObject({ code: 'OUTBOUND_REFUSED' })
    }
    asked = []
    answers = [[PUBLIC]]
    await expect(request('http://a.example/', { dispatcher })).rejects.toMatchObject({ code: 'OUTBOUND_REFUSED' })
    await dispatcher.close()
    expect({ asked, connections }).toEqual({ asked: [], connections: 0 })
  })
})

describe('with private addresses', () => {
  test('gives the bytes and their type', async () => {
    expect(await fetching({ accept: ['image/*', 'text/plain'] })).toEqual({
      bytes: Buffer.from('hello'),
      mediaType: 'text/plain',
    })
  })

  test('asks for the name once and connects to the answer, under the name', async () => {
    answers = [[LOOPBACK], [PUBLIC]]
    let host: string | undefined
    answer = (incoming, response) => {
      host = incoming.headers.host
      response.end(incoming.url)
    }
    expect((await fetching()).bytes.toString()).toBe('/a?b=1')
    expect({ asked, host }).toEqual({ asked: ['files.example'], host: `files.example:${port}` })
  })

  test('checks form alone', async () => {
    expect((await lenient.check('http://127.0.0.1:1/v1')).port).toBe('1')
    expect(asked).toEqual([])
    expect(await kindOf(lenient.check('ftp://127.0.0.1'))).toBe('refused')
    expect(await kindOf(lenient.check('http://u:p@127.0.0.1'))).toBe('refused')
  })

  test.each([301, 302, 303, 307, 308])('does not follow a %i', async status => {
    answer = (_, response) => void response.writeHead(status, { location: url('127.0.0.1') }).end()
    const failure = await rejectedBy(OutboundFailure, fetching())
    expect(failure).toMatchObject({ kind: 'status', status })
    expect(connections).toBe(1)
  })

  test.each<[string, RequestListener, OutboundFailureKind, Partial<FetchOptions>]>([
    ['another status', (_, response) => void response.writeHead(404).end('x'), 'status', {}],
    ['another type', (_, response) => void response.end('x'), 'type', { accept: ['image/png'] }],
    [
      'a packed reply',
      (_, response) => void response.writeHead(200, { 'content-encoding': 'gzip' }).end('x'),
      'type',
      {},
    ],
    ['a long reply, told ahead', (_, response) => void response.end('x'.repeat(1_001)), 'too_large', {}],
    [
      'a long reply, not told',
      (_, response) => {
        response.write('x'.repeat(900))
        setImmediate(() => response.write('x'.repeat(101)))
      },
      'too_large',
      {},
    ],
    ['a cut connection', (_, response) => void response.destroy(), 'unavailable', {}],
    [
      'a reply cut half-way',
      (_, response) => void response.writeHead(200, { 'content-length': '9' }).write('x', () => response.destroy()),
      'unavailable',
      {},
    ],
    ['no answer', () => undefined, 'timeout', { timeoutMs: 100 }],
    [
      'an answer that does not end',
      (_, response) => {
        const timer = setInterval(() => response.write('x'), 10)
        response.once('close', () => clearInterval(timer))
      },
      'timeout',
      { timeoutMs: 200 },
    ],
  ])('fails by %s', async (_, listener, kind, options) => {
    answer = listener
    expect(await kindOf(fetching(options))).toBe(kind)
  })

  test('takes a reply of exactly the limit', async () => {
    answer = (_, response) => void response.end('x'.repeat(1_000))
    expect((await fetching()).bytes).toHaveLength(1_000)
  })

  test('stops where its caller does', async () => {
    const caller = new AbortController()
    const closed = new Promise<void>(resolve => {
      answer = (_, response) => {
        response.once('close', resolve)
        caller.abort()
      }
    })
    expect(await kindOf(fetching({ signal: caller.signal }))).toBe('aborted')
    await closed
  })

  test('keeps no connection', async () => {
    const fresh = createOutbound({ allowPrivate: true })
    await fresh.fetchBytes(url('127.0.0.1'), OPTIONS)
    await fresh.fetchBytes(url('127.0.0.1'), OPTIONS)
    await fresh.close()
    expect(connections).toBe(2)
  })
})
