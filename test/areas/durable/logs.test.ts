import { beforeAll, describe, expect, test } from '@jest/globals'
import { CHAT, chatOf } from '../../support/chats.ts'
import { apiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { freePort } from '../../support/free-port.ts'
import { fakePrompt, fakeStats, waitForAbort, type FakeScript } from '../../support/fake-upstream.ts'
import { useOwnApi, type OwnApi } from '../../support/own-api.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const PROMPT = 'tell-me-a-secret-word'
const REPLY = 'the-secret-word-of-the-reply'

/** What an upstream can do to a call, each with a model of its own. */
const MISHAPS: FakeScript[] = [
  {},
  { status: 400 },
  { status: 401 },
  { status: 429 },
  { status: 500 },
  { errorIn200: true },
  { malformed: true },
  { dieAfterChunks: 1 },
  { hangAfterChunks: 1 },
]

let api: OwnApi
let metricsUrl: string
const use = useOwnApi()
beforeAll(async () => {
  const port = await freePort()
  metricsUrl = `http://127.0.0.1:${port}`
  api = await use({
    upstreams: {},
    models: Object.fromEntries(
      [...MISHAPS.map((_, index) => `mishap-${index}`), 'measured'].map(id => [id, ['fake-a']]),
    ),
    env: { METRICS_PORT: String(port), LOG_LEVEL: 'trace', UPSTREAM_IDLE_TIMEOUT_SECONDS: '1' },
  })
})

const linesOf = (logs: string): any[] =>
  logs
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line))
const accessLines = (requestId: string | null) =>
  linesOf(api.logs()).filter(line => line.msg === 'request' && line.requestId === requestId)
/** The one access line of the request. */
const accessLine = async (requestId: string | null) => {
  await until(async () => accessLines(requestId).length > 0)
  expect(accessLines(requestId)).toHaveLength(1)
  return accessLines(requestId)[0]
}
const newTenantHere = () => newTenant(db, { apiUrl: api.url })
const messagesOf = (script: FakeScript) => [
  { role: 'system', content: PROMPT },
  { role: 'user', content: fakePrompt({ reply: REPLY, errorMessage: REPLY, ...script }) },
]

describe('the access line of', () => {
  test('a call has its figures', async () => {
    const tenant = await newTenantHere()
    const usage = { prompt_tokens: 1_000, completion_tokens: 100 }
    const reply = await tenant.api.post(CHAT, chatOf({ usage }))
    const requestId = reply.headers.get('x-request-id')
    expect(await accessLine(requestId)).toEqual({
      level: 30,
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/),
      service: 'api',
      msg: 'request',
      requestId,
      keyId: tenant.keyId,
      userId: tenant.userId,
      method: 'POST',
      route: CHAT,
      status: 200,
      ms: expect.any(Number),
      model: 'test/plain',
      tokensIn: 1_000,
      tokensOut: 100,
      costUsd: 0.0012,
    })
  })

  test('a stream that its client left has what was produced', async () => {
    const tenant = await newTenantHere()
    const client = new AbortController()
    const script = { id: tenant.keyId, reply: REPLY, hangAfterChunks: 1 }
    const reply = await tenant.api.open(CHAT, chatOf(script, { stream: true }), client.signal)
    client.abort()
    await waitForAbort(testStack().upstreamUrl, tenant.keyId)
    const line = await accessLine(reply.headers.get('x-request-id'))
    expect(line).toMatchObject({ status: 499, model: 'test/plain' })
    expect(line.tokensIn).toBeGreaterThan(0)
    expect(line.costUsd).toBeGreaterThan(0)
  })

  test.each<[string, string, string, object, number, string]>([
    ['a list', 'GET', '/files', {}, 200, '/files'],
    ['a thing by its id, by route', 'GET', '/files/file_0?limit=5', {}, 404, '/files/{file_id}'],
    [
      'a refused body',
      'POST',
      CHAT,
      { body: `{"${PROMPT}`, headers: { 'content-type': 'application/json' } },
      400,
      CHAT,
    ],
    ['an unknown path', 'GET', `/${PROMPT}`, {}, 404, 'unmatched'],
    ['a wrong method', 'DELETE', '/models', {}, 405, 'unmatched'],
  ])('%s', async (_, method, path, init, status, route) => {
    const { api: client } = await newTenantHere()
    const reply = await client.send(method, path, init)
    expect(reply.status).toBe(status)
    expect(await accessLine(reply.headers.get('x-request-id'))).toMatchObject({ method, route, status })
  })

  test('a request without a good key names no key', async () => {
    const reply = await apiClient(`ipop_${'x'.repeat(43)}`, api.url).get('/files')
    const line = await accessLine(reply.headers.get('x-request-id'))
    expect(line).toMatchObject({ status: 401, route: '/files' })
    expect(line).not.toHaveProperty('keyId')
  })
})

test('no key, prompt or completion is in the logs, at the finest level, whatever goes wrong', async () => {
  const tenant = await newTenantHere()
  const ids = []
  for (const [index, script] of MISHAPS.entries()) {
    for (const stream of [false, true]) {
      const body = { model: `mishap-${index}`, messages: messagesOf({ ...script, group: tenant.keyId }), stream }
      const reply = await tenant.api.open(CHAT, body)
      await reply.text()
      ids.push(reply.headers.get('x-request-id'))
    }
  }
  expect(await fakeStats(testStack().upstreamUrl, tenant.keyId)).toMatchObject({ calls: 2 * MISHAPS.length })
  const bad = { model: PROMPT, messages: [{ role: PROMPT, content: PROMPT }], [PROMPT]: PROMPT }
  for (const reply of [
    await tenant.api.post(CHAT, bad),
    await tenant.api.post(CHAT, { ...bad, messages: messagesOf({}) }),
    await tenant.api.send('POST', CHAT, { headers: { 'content-type': 'application/json' }, body: `{"a": "${PROMPT}` }),
    await tenant.api.send('POST', `/files?purpose=${PROMPT}&filename=${PROMPT}`, { body: PROMPT }),
    await apiClient(`${tenant.secret.slice(0, -1)}`, api.url).get(`/files?after=${PROMPT}`),
    await apiClient(undefined, api.url).get('/files', { authorization: `Bearer ${tenant.secret}` }),
  ]) {
    ids.push(reply.headers.get('x-request-id'))
  }
  for (const id of ids) await accessLine(id)
  const logs = api.logs()
  expect(linesOf(logs).length).toBeGreaterThan(ids.length)
  for (const word of [PROMPT, REPLY, tenant.secret.slice(5, 20), testStack().signingKey, 'postgres://']) {
    expect(logs).not.toContain(word)
  }
})

test('metrics are served as Prometheus reads them, on a port of their own', async () => {
  const tenant = await newTenantHere()
  await tenant.api.post(CHAT, chatOf({ usage: { prompt_tokens: 7, completion_tokens: 3 } }, { model: 'measured' }))
  await tenant.api.get('/batches/batch_0')
  const reply = await fetch(`${metricsUrl}/metrics`)
  expect(reply.status).toBe(200)
  expect(reply.headers.get('content-type')).toMatch(/^text\/plain; version=0\.0\.4/)
  const lines = (await reply.text()).split('\n')
  expect(lines).toContain('# TYPE ipop_http_request_duration_seconds histogram')
  /** The value of the one series with these labels, in whatever order. */
  const valueOf = (name: string, ...labels: string[]) => {
    const series = lines.filter(line => line.startsWith(`${name}{`) && labels.every(label => line.includes(label)))
    expect(series).toHaveLength(1)
    return Number(series[0]?.split(' ').at(-1))
  }
  expect(valueOf('ipop_tokens_total', 'model="measured"', 'direction="in"')).toBe(7)
  expect(valueOf('ipop_tokens_total', 'model="measured"', 'direction="out"')).toBe(3)
  expect(
    valueOf('ipop_model_calls_total', 'upstream="fake-a"', 'surface="chat"', 'status="completed"'),
  ).toBeGreaterThan(0)
  const route = ['method="GET"', 'route="/batches/{batch_id}"', 'status="404"']
  expect(valueOf('ipop_http_request_duration_seconds_count', ...route)).toBe(1)
  expect(valueOf('process_resident_memory_bytes', 'service="api"')).toBeGreaterThan(1_000_000)
  expect((await fetch(`${metricsUrl}/v1/models`)).status).toBe(404)
  expect((await fetch(`${api.url}/metrics`)).status).toBe(404)
})
