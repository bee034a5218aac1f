import { afterEach, describe, expect, test } from '@jest/globals'
import { openListener, type Listener } from '../../../infra/postgres/listener.ts'
import { createNotifiedCache } from '../../../infra/postgres/notified-cache.ts'
import { testDatabase } from '../../support/database.ts'
import { testStack } from '../../support/stack.ts'
import { tcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const CHANNEL = 'ipop_test_listener'
/** Four seconds of waiting, and what a loaded machine adds; TCP's own keep-alive takes minutes. */
const NOTICED_WITHIN_MS = 30_000
const silent = { warn: () => undefined }
const notify = (payload: string) => db.query('SELECT pg_notify($1::text, $2::text)', [CHANNEL, payload])

const left: { proxy: TcpProxy; listener: Listener }[] = []
afterEach(async () => {
  for (const { proxy, listener } of left.splice(0)) {
    await listener.close()
    proxy.close()
  }
})

async function listenThroughProxy() {
  const proxy = await tcpProxy(testStack().databaseUrl)
  const listener = await openListener(proxy.url, [CHANNEL], silent)
  left.push({ proxy, listener })
  const seen: string[] = []
  const gaps: number[] = []
  listener.on(CHANNEL, payload => void seen.push(payload))
  listener.onGap(() => void gaps.push(Date.now()))
  return { proxy, listener, seen, gaps }
}

describe('a LISTEN connection that the network forgot', () => {
  test('is noticed within 5 s, and made again', async () => {
    const { proxy, seen, gaps } = await listenThroughProxy()
    await notify('before')
    await until(async () => seen.includes('before'))
    proxy.freeze()
    const frozenAtMs = Date.now()
    await until(async () => gaps.length > 0)
    expect((gaps[0] ?? Infinity) - frozenAtMs).toBeLessThan(NOTICED_WITHIN_MS)
    // Of the new connection: what came meanwhile is lost, which the second gap tells.
    await until(async () => gaps.length > 1)
    await notify('after')
    await until(async () => seen.includes('after'))
  })

  test('takes with it what was cached on its word', async () => {
    const { proxy, listener } = await listenThroughProxy()
    const cache = createNotifiedCache<number>(listener, CHANNEL)
    let reads = 0
    const read = async () => (reads += 1)
    expect([await cache.get('key', read), await cache.get('key', read)]).toEqual([1, 1])
    proxy.freeze()
    await notify('key')
    await until(async () => (await cache.get('key', read)) > 1, NOTICED_WITHIN_MS)
  })

  test('is ended in order all the same', async () => {
    const { proxy, listener } = await listenThroughProxy()
    proxy.freeze()
    const closedAtMs = Date.now()
    await listener.close()
    expect(Date.now() - closedAtMs).toBeLessThan(NOTICED_WITHIN_MS)
    left.splice(0)
    proxy.close()
  })
})

test('a LISTEN connection that is sound is kept, however often it is asked', async () => {
  const { proxy, gaps, seen } = await listenThroughProxy()
  for (let asked = 0; asked < 3; asked += 1) {
    const before = proxy.answeredBytes()
    await until(async () => proxy.answeredBytes() > before)
  }
  await notify('late')
  await until(async () => seen.includes('late'))
  expect(gaps).toEqual([])
})
