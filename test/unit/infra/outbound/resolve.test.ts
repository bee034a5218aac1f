import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { allowedAddresses, resolveByDns } from '../../../../infra/outbound/connect.ts'
import { OutboundFailure } from '../../../../infra/outbound/failure.ts'
import { createOutbound } from '../../../../infra/outbound/outbound.ts'
import { rejectedBy } from '../../fixtures.ts'

const TYPE_A = 1
/** What the server says of names, by their first label; nothing of any other, and no IPv6 address. */
const ADDRESSES: Record<string, number[][]> = {
  public: [[1, 1, 1, 1]],
  mixed: [
    [1, 1, 1, 1],
    [127, 0, 0, 1],
  ],
}

let server: Socket
let address: string
beforeAll(async () => {
  server = createSocket('udp4')
  server.on('message', (query, from) => server.send(answerTo(query), from.port, from.address))
  server.bind(0, '127.0.0.1')
  await once(server, 'listening')
  address = `127.0.0.1:${server.address().port}`
})
afterAll(() => void server.close())

/** A reply by RFC 1035: the head, the question again, and a record for each address. */
function answerTo(query: Buffer): Buffer {
  const name = query.subarray(13, 13 + query.readUInt8(12)).toString()
  const endOfQuestion = query.indexOf(0, 12) + 5
  const found = query.readUInt16BE(endOfQuestion - 4) === TYPE_A ? (ADDRESSES[name] ?? []) : []
  const head = Buffer.from(query.subarray(0, 12))
  head.writeUInt16BE(0x8180, 2)
  head.writeUInt16BE(found.length, 6)
  head.fill(0, 8)
  const records = found.map(bytes => Buffer.from([0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 60, 0, 4, ...bytes]))
  return Buffer.concat([head, query.subarray(12, endOfQuestion), ...records])
}

test('a name is resolved by DNS', async () => {
  const resolve = resolveByDns([address])
  expect(await allowedAddresses('public.example', false, resolve)).toEqual([{ address: '1.1.1.1', family: 4 }])
  for (const name of ['mixed.example', 'unknown.example']) {
    expect(await rejectedBy(OutboundFailure, allowedAddresses(name, false, resolve))).toMatchObject({ kind: 'refused' })
  }
})

test("names of this machine's own are known only where private addresses are allowed", async () => {
  const [strict, lenient] = [createOutbound({ allowPrivate: false }), createOutbound({ allowPrivate: true })]
  expect(await rejectedBy(OutboundFailure, strict.check('https://localhost/'))).toMatchObject({ kind: 'refused' })
  const options = { limitBytes: 1, timeoutMs: 5_000, signal: new AbortController().signal }
  const closedPort = await rejectedBy(OutboundFailure, lenient.fetchBytes('http://localhost:1/', options))
  expect(closedPort.kind).toBe('unavailable')
  await Promise.all([strict.close(), lenient.close()])
})
