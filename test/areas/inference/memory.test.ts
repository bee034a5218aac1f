import { describe, expect, test } from '@jest/globals'
import { Readable } from 'node:stream'
import { spawnApi } from '../../support/api-process.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { rawRequest } from '../../support/raw-request.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { bodyWith, PICTURE } from '../../support/worst-bodies.ts'

const db = testDatabase()
const MIB = 1024 * 1024
const CHAT = '/chat/completions'
const asked = (text = 'hello') => ({ model: 'test/plain', messages: [{ role: 'user', content: text }] })
const withPicture = (bytes: number) =>
  bodyWith(
    {
      model: 'test/plain',
      messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'HERE' } }] }],
    },
    PICTURE(bytes),
  )

describe('what a process holds for large requests', () => {
  test('is bounded, leaves room for others, and is free again when they are over', async () => {
    const api = await spawnApi({ LARGE_REQUESTS_MB: '40' })
    const tenants = [await newTenant(db, { apiUrl: api.url }), await newTenant(db, { apiUrl: api.url })]
    const [many, other] = tenants as [Tenant, Tenant]
    const post = (tenant: Tenant, body: Readable | Buffer, length: number) =>
      rawRequest('POST', CHAT, {
        apiUrl: api.url,
        body,
        headers: { 'x-api-key': tenant.secret, 'content-type': 'application/json', 'content-length': length },
      })
    try {
      // It says how long it is, and then waits.
      const slow = new Readable({ read: () => undefined })
      slow.push('{')
      const held = post(many, slow, 18 * MIB)
      const body = withPicture(4 * MIB)
      let refused = await post(many, body, body.length)
      while (refused.status !== 503) refused = await post(many, body, body.length)
      expectError(refused, 503, { code: 'service_unavailable' })
      expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0)
      expect((await many.api.post(CHAT, asked())).status).toBe(200)
      expect((await post(other, body, body.length)).status).toBe(200)
      slow.push(Buffer.alloc(18 * MIB - 1, ' '))
      expect((await held).status).toBe(400)
      expect((await post(many, body, body.length)).status).toBe(200)
    } finally {
      await api.stop()
    }
  })

  test('counts chains of responses before they are loaded', async () => {
    const api = await spawnApi({ LARGE_REQUESTS_MB: '2' })
    const tenant = await newTenant(db, { apiUrl: api.url })
    try {
      const first = (await tenant.api.post('/responses', { model: 'test/plain', input: 'hello' })).body.id as string
      const next = { model: 'test/plain', input: 'hello', previous_response_id: first }
      const asBytes = (bytes: number) =>
        db.query('UPDATE responses SET content_bytes = $2::bigint WHERE id = $1::text', [first, bytes])
      await asBytes(3 * MIB)
      expectError(await tenant.api.post('/responses/input_tokens', next), 503, { code: 'service_unavailable' })
      await asBytes(17 * MIB)
      expectError(await tenant.api.post('/responses', next), 400, { param: 'previous_response_id' })
      expectError(await tenant.api.post('/responses/input_tokens', next), 400, { param: 'previous_response_id' })
      await asBytes(100)
      expect((await tenant.api.post('/responses', next)).status).toBe(200)
    } finally {
      await api.stop()
    }
  })
})

test('a key without a limit of its own has the default one', async () => {
  const api = await spawnApi({ DEFAULT_REQUESTS_PER_MINUTE: '3' })
  const tenant = await newTenant(db, { apiUrl: api.url })
  try {
    const statuses: number[] = []
    for (let count = 0; count < 4; count += 1) statuses.push((await tenant.api.get('/usage')).status)
    expect(statuses).toEqual([200, 200, 200, 429])
    const own = await newTenant(db, { apiUrl: api.url, requestsPerMinute: 10 })
    for (let count = 0; count < 4; count += 1) expect((await own.api.get('/usage')).status).toBe(200)
  } finally {
    await api.stop()
  }
})
