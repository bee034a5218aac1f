import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from '@jest/globals'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { booksOf } from '../../support/books.ts'
import { CHAT, chatOf } from '../../support/chats.ts'
import { apiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { releaseCalls } from '../../support/fake-upstream.ts'
import { freePort } from '../../support/free-port.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const PROCESSES = 3
const db = testDatabase()
let api: ApiProcess
let metricsUrl: string
let secret: string
beforeAll(async () => {
  const metricsPort = await freePort()
  metricsUrl = `http://127.0.0.1:${metricsPort}/metrics`
  secret = (await newTenant(db)).secret
  api = await spawnApi({ API_PROCESSES: String(PROCESSES), METRICS_PORT: String(metricsPort) })
})
afterAll(() => api.stop())

/** Each over a connection of its own: connections are what the processes share out. */
const ask = async (): Promise<number> => {
  const headers = { 'x-api-key': secret, connection: 'close' }
  return (await fetch(`${api.url}/v1/usage`, { headers })).status
}

const childrenOf = (pid: number): number[] =>
  execFileSync('ps', ['-A', '-o', 'pid=,ppid='], { encoding: 'utf8' })
    .split('\n')
    .map(line => line.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child]) => child as number)

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

test('several processes behind one port tell their metrics as one', async () => {
  expect(childrenOf(api.pid).length).toBeGreaterThanOrEqual(PROCESSES)
  const statuses = await Promise.all(Array.from({ length: 30 }, ask))
  expect(new Set(statuses)).toEqual(new Set([200]))
  const answered = async () => {
    const text = await (await fetch(metricsUrl)).text()
    const counts = [...text.matchAll(/^ipop_http_request_duration_seconds_count\{.*route="\/usage".*\} (\d+)/gm)]
    return counts.reduce((sum, [, count]) => sum + Number(count), 0)
  }
  await until(async () => (await answered()) === 30)
})

test('one that dies is replaced, and the others go on', async () => {
  const before = childrenOf(api.pid)
  const [victim] = before as [number]
  process.kill(victim, 'SIGKILL')
  await until(async () => childrenOf(api.pid).some(pid => !before.includes(pid)))
  await until(async () => api.logs().includes('an API process ended'))
  expect(await Promise.all(Array.from({ length: 12 }, ask))).toEqual(Array(12).fill(200))
})

test('all stop in order with the first', async () => {
  const own = await spawnApi({ API_PROCESSES: '2' })
  const all = [own.pid, ...childrenOf(own.pid)]
  expect(all.length).toBeGreaterThanOrEqual(3)
  process.kill(own.pid, 'SIGTERM')
  await until(async () => !all.some(isAlive))
  expect(own.logs()).not.toContain('ended: starting it again')
  await own.stop()
})

test('what is under way when the first is killed is ended in order, and billed', async () => {
  const own = await spawnApi({ API_PROCESSES: '2' })
  const tenant = await newTenant(db)
  const reply = await apiClient(tenant.secret, own.url).open(
    CHAT,
    chatOf({ id: tenant.keyId, reply: 'one two three four five six', heldAfterChunks: 2 }, { stream: true }),
  )
  const children = childrenOf(own.pid)
  await own.stop()
  await releaseCalls(testStack().upstreamUrl, tenant.keyId)
  expect(await reply.text()).toMatch(/data: \[DONE\]\n\n$/)
  await until(async () => !children.some(isAlive))
  const { calls, charges } = await booksOf(db, tenant)
  expect(calls).toMatchObject([{ status: 'completed', tokens_out: 6 }])
  expect(charges).toHaveLength(1)
})
