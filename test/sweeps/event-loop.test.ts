import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { randomUUID } from 'node:crypto'
import { setTimeout as delay } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'
import { chatRow, startBatch, untilEnded } from '../support/batches.ts'
import { bodyLimitOf } from '../support/body-limits.ts'
import { apiClient } from '../support/client.ts'
import { testDatabase } from '../support/database.ts'
import { watchedApi, type Held, type WatchedApi } from '../support/event-loop.ts'
import { fakePrompt } from '../support/fake-upstream.ts'
import { tenantWithPolicy } from '../support/policies.ts'
import { rawRequest, type RawReply } from '../support/raw-request.ts'
import { servedDocument } from '../support/served-document.ts'
import { SOUND_BODIES } from '../support/sound-bodies.ts'
import { newTenant, type Tenant } from '../support/tenants.ts'
import { bodyWith, COMPLEX, LONG, PICTURE } from '../support/worst-bodies.ts'

/** What no request may take of others on a quiet machine. */
const MOST_HELD_MS = 50
/** Only what is clearly more fails: figures of a machine that does other things are never exact. */
const CLEARLY = 2
/** How much longer another's request may take than while nothing is done, which is some milliseconds. */
const MOST_RATIO = 20
const LEAST_IDLE_MS = 5
const TRIES = 3
const MIB = 1024 * 1024

const db = testDatabase()
const served = await servedDocument()
const isJson = ({ requestBody }: (typeof served.operations)[number]) => requestBody?.content['application/json']
const withBody = served.operations
  .filter(isJson)
  .map(operation => [`${operation.method} ${operation.path}`, operation] as const)
const others = served.operations.filter(operation => !isJson(operation))

let api: WatchedApi
let idle: Held
let rich: Tenant
let broke: Tenant
beforeAll(async () => {
  api = await watchedApi()
  rich = await newTenant(db, { creditUsd: '1000', apiUrl: api.url })
  broke = await newTenant(db, { creditUsd: '0', apiUrl: api.url })
  // The first of each kind starts threads and connections, and has its code compiled.
  for (const [name, { method, path }] of withBody) await send(rich, method, path, JSON.stringify(soundOf(name)))
  await sendTo(rich, 'POST /chat/completions', bodyWith(chatSaying('HERE'), LONG[0]?.[1](8 * MIB) as Buffer))
  idle = await api.during(() => delay(500))
})
afterAll(() => api.stop())

const soundOf = (name: string): Record<string, unknown> => SOUND_BODIES[name]?.('file_none') ?? {}
const chatSaying = (content: unknown) => ({ model: 'test/plain', messages: [{ role: 'user', content }] })

function send(
  tenant: Tenant,
  method: string,
  path: string,
  body?: string | Buffer,
  headers: Record<string, string> = {},
): Promise<RawReply> {
  const all = { 'x-api-key': tenant.secret, 'content-type': 'application/json', ...headers }
  return rawRequest(method, path, { apiUrl: api.url, headers: all, ...(body !== undefined && { body }) })
}

async function sendTo(tenant: Tenant, name: string, body: Buffer): Promise<RawReply> {
  const [method = '', path = ''] = name.split(' ')
  return send(tenant, method, path, body)
}

/** The loop is free while the work is done: what once was slower may have been the machine. */
async function expectFree(work: () => Promise<unknown>): Promise<void> {
  const most = MOST_HELD_MS * CLEARLY
  const tries: object[] = []
  for (let count = 0; count < TRIES; count += 1) {
    const slowness = await api.slowness()
    const { loopMs, replyMs } = await api.during(work)
    const ratio = replyMs / Math.max(LEAST_IDLE_MS, idle.replyMs)
    if (loopMs < most * slowness && ratio < MOST_RATIO) return
    tries.push({ loopMs, slowness, replyMs, idleMs: idle.replyMs })
  }
  expect(tries).toEqual([])
}

/** What a body may say at length, by operation; `"HERE"` stands for it. */
const PLACES: Record<string, object> = {
  'POST /chat/completions': chatSaying('HERE'),
  'POST /agent-turns': chatSaying('HERE'),
  'POST /estimate': chatSaying('HERE'),
  'POST /completions': { model: 'test/plain', prompt: 'HERE' },
  'POST /embeddings': { model: 'test/embed', input: 'HERE' },
  'POST /responses': { model: 'test/plain', input: 'HERE' },
  'POST /responses/input_tokens': { model: 'test/plain', input: 'HERE' },
}
const TRIED_BY_ALL_SHAPES = ['POST /chat/completions', 'POST /responses']
/** The slowest to be written, and the longest in memory. */
const DEAREST = LONG.filter(([what]) => ['line breaks and quotes', 'letters of two bytes'].includes(what))
/** Many times what any body may hold: more would only be refused later. */
const COMPLEX_BYTES = 4 * MIB
const inMetadata = (name: string) => ({ ...soundOf(name), metadata: 'HERE' })

describe.each(withBody)('%s', name => {
  const bytes = bodyLimitOf(name) - 64 * 1024

  test('leaves the loop to others, whatever its largest body says', async () => {
    const place = PLACES[name] ?? inMetadata(name)
    for (const [, shape] of TRIED_BY_ALL_SHAPES.includes(name) ? LONG : DEAREST) {
      const body = bodyWith(place, shape(bytes))
      await expectFree(async () => expect((await sendTo(rich, name, body)).status).toBeLessThan(500))
    }
  })

  test('leaves the loop to others, whatever it holds', async () => {
    const bodies = COMPLEX.map(([, shape]) => bodyWith(inMetadata(name), shape(Math.min(bytes, COMPLEX_BYTES))))
    await expectFree(async () => {
      for (const body of bodies) expect((await sendTo(broke, name, body)).status).toBeLessThan(500)
    })
  })
})

const AS_PICTURE: Record<string, object> = {
  'POST /chat/completions': chatSaying([{ type: 'image_url', image_url: { url: 'HERE' } }]),
  'POST /agent-turns': chatSaying([{ type: 'image_url', image_url: { url: 'HERE' } }]),
  'POST /responses': {
    model: 'test/plain',
    input: [{ role: 'user', content: [{ type: 'input_image', image_url: 'HERE' }] }],
  },
  'POST /images/generations': { ...soundOf('POST /images/generations'), image_url: 'HERE' },
  'POST /videos': { ...soundOf('POST /videos'), frame_images: [{ image_url: { url: 'HERE' } }] },
}
test.each(Object.entries(AS_PICTURE))(
  '%s with a large picture, to its end, leaves the loop to others',
  async (name, body) => {
    const large = bodyWith(body, PICTURE(bodyLimitOf(name) - 64 * 1024))
    await expectFree(async () => expect((await sendTo(rich, name, large)).status).toBeLessThan(500))
  },
)

test('streams, calls with an Idempotency-Key and cached calls of a large picture leave the loop to others', async () => {
  const picture = PICTURE(24 * MIB)
  const chat = chatSaying([{ type: 'image_url', image_url: { url: 'HERE' } }])
  for (const changes of [{ stream: true }, { metadata: { cache_mode: 'aggressive', max_cost_usd: 1 } }]) {
    const body = bodyWith({ ...chat, ...changes }, picture)
    await expectFree(async () => {
      const headers = { 'idempotency-key': randomUUID() }
      expect((await send(rich, 'POST', '/chat/completions', body, headers)).status).toBe(200)
    })
  }
})

test('a long chain of responses leaves the loop to others', async () => {
  const links = 4
  let last: string | undefined
  for (let link = 0; link < links; link += 1) {
    const asked = {
      model: 'test/plain',
      truncation: 'auto',
      ...(last !== undefined && { previous_response_id: last }),
      input: [
        { role: 'user', content: [{ type: 'input_image', image_url: 'HERE' }] },
        { role: 'user', content: 'hello' },
      ],
    }
    const reply = await sendTo(rich, 'POST /responses', bodyWith(asked, PICTURE(3.5 * MIB)))
    expect(reply.status).toBe(200)
    last = (JSON.parse(reply.text) as { id: string }).id
  }
  const next = { model: 'test/plain', previous_response_id: last, truncation: 'auto', input: 'hello' }
  for (const path of ['/responses', '/responses/input_tokens']) {
    await expectFree(async () => expect((await send(rich, 'POST', path, JSON.stringify(next))).status).toBe(200))
  }
  await expectFree(async () => {
    expect((await send(rich, 'GET', `/responses/${last}/input_items`)).status).toBe(200)
    expect((await send(rich, 'GET', `/responses/${last}`)).status).toBe(200)
  })
})

test('a large reply, stored and read again, leaves the loop to others', async () => {
  const text = 'a "quoted" word\n'.repeat(3 * 65_536)
  const asked = { model: 'test/wide', input: fakePrompt({ reply: text }) }
  let id = ''
  await expectFree(async () => {
    const reply = await send(rich, 'POST', '/responses', JSON.stringify(asked))
    expect(reply.status).toBe(200)
    id = (JSON.parse(reply.text) as { id: string }).id
  })
  await expectFree(async () => expect((await send(rich, 'GET', `/responses/${id}`)).status).toBe(200))
})

test('what a policy keeps is redacted beside the loop', async () => {
  const { secret } = await tenantWithPolicy(db, { redact: true, max_chars_per_message: 1_000_000 })
  const keptOptions = { ...rich, secret }
  const asked = chatSaying([
    { type: 'text', text: '1 1 1 '.repeat(30_000) },
    { type: 'image_url', image_url: { url: 'HERE' } },
  ])
  const body = bodyWith(asked, PICTURE(4 * MIB))
  await expectFree(async () => expect((await sendTo(keptOptions, 'POST /chat/completions', body)).status).toBe(200))
})

test('a batch of large rows, and its replies, leave the loop to others', async () => {
  const tenant = await newTenant(db, { creditUsd: '1000' })
  const rows = ['a', 'b', 'c'].map(id => chatRow(id, fakePrompt({ reply: 'a "quoted" word\n'.repeat(65_536) })))
  const id = await startBatch(apiClient(tenant.secret), rows)
  await untilEnded(tenant.api, id)
  await expectFree(async () => expect((await send(tenant, 'GET', `/batches/${id}?rows_limit=100`)).status).toBe(200))
})

test('a form of many parts, or of one that never ends, leaves the loop to others', async () => {
  const type = { 'content-type': 'multipart/form-data; boundary=xyz' }
  const part = '--xyz\r\ncontent-disposition: form-data; name="a"\r\n\r\nb\r\n'
  const file = '--xyz\r\ncontent-disposition: form-data; name="file"; filename="f"\r\n\r\n'
  for (const body of [part.repeat(100_000), file + '\r\n--xy'.repeat(2_000_000), `${file}${'x'.repeat(8 * MIB)}`]) {
    await expectFree(async () => expect((await send(rich, 'POST', '/files', body, type)).status).toBeLessThan(500))
  }
})

test('a bomb leaves the loop to others', async () => {
  const bomb = gzipSync(`{"model":"test/plain","messages":[],"metadata":[${'[],'.repeat(10_000_000)}[]]}`)
  await expectFree(async () => {
    const reply = await send(broke, 'POST', '/chat/completions', bomb, { 'content-encoding': 'gzip' })
    expect(reply.status).toBe(413)
  })
})

test('all other operations leave the loop to others, whatever comes with them', async () => {
  expect(others.length).toBeGreaterThan(20)
  const long = 'x'.repeat(5_000)
  await expectFree(async () => {
    for (const { method, path } of others) {
      const where = `${path.replaceAll(/\{[^}]+\}/g, long)}?${'a=1&'.repeat(1_500)}`
      const reply = await send(rich, method, where, method === 'GET' ? undefined : Buffer.alloc(MIB, '['), {
        'x-long': ','.repeat(2_000),
      })
      expect(reply.status).toBeLessThan(500)
    }
  })
})
