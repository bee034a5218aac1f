import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { booksOf } from '../../support/books.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakePrompt, type FakeScript } from '../../support/fake-upstream.ts'
import { drawingModelOf, IMAGE_QUIRKS, type ImageQuirk } from '../../support/image-corpus.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { asciiJson, SOUND_QUIRKS } from '../../support/upstream-corpus.ts'
import { startLocalServer, type LocalServer } from '../../unit/infra/upstreams/local-server.ts'

const db = testDatabase()
const IMAGES = '/images/generations'
const CARD_USD = 0.1

const draw = ({ api }: Tenant, reply: unknown, body: object = {}) => {
  const raw: FakeScript = { raw: { stream: '', reply: asciiJson(reply) } }
  return api.post(IMAGES, { model: 'test/draw', prompt: fakePrompt(raw), ...body })
}
const nanos = (usd: number): bigint => BigInt(Math.round(usd * 1e9))

async function expectNothing(tenant: Tenant, reply: Awaited<ReturnType<typeof draw>>, status: number, code: string) {
  const { message } = expectError(reply, status, { code })
  expect(message).not.toContain('never')
  const { charges, hourly } = await booksOf(db, tenant)
  expect({ charges, cost: hourly.cost_nanos }).toEqual({ charges: [], cost: 0n })
}

const isDrawn = ([, { expected }]: [string, ImageQuirk]): boolean => expected.url !== undefined

test.each(IMAGE_QUIRKS.filter(isDrawn))('%s is the picture, for what it costs', async (name, quirk) => {
  const tenant = await newTenant(db)
  const model = drawingModelOf(name, quirk)
  const { url = '', cost_usd: cost } = quirk.expected
  const { status, body } = await draw(tenant, quirk.reply, { model })
  expect(status).toBe(200)
  expect(body.data).toMatchObject([{ url, mime_type: /^data:([^;]+)/.exec(url)?.[1] }])
  expect(body.usage).toMatchObject({ images: 1, cost_usd: cost })
  const plain = await draw(tenant, quirk.reply, { model, response_format: 'b64_json', n: 2 })
  expect(plain.body.data.map((one: { b64_json: string }) => one.b64_json)).toEqual(Array(2).fill(url.split(',')[1]))
  const { calls, hourly } = await booksOf(db, tenant)
  expect(calls.map(({ status: ended, cost_nanos: told }) => [ended, told])).toEqual([
    ['completed', nanos(cost)],
    ['completed', nanos(cost) * 2n],
  ])
  expect(hourly.cost_nanos).toBe(nanos(cost) * 3n)
})

test.each(IMAGE_QUIRKS.filter(quirk => !isDrawn(quirk)))('%s is no picture, and costs nothing', async (name, quirk) => {
  const tenant = await newTenant(db)
  const { status = 0, code = '' } = quirk.expected
  await expectNothing(tenant, await draw(tenant, quirk.reply, { model: drawingModelOf(name, quirk) }), status, code)
})

test('a chat that draws nothing is told as that, whatever else it says', async () => {
  const tenant = await newTenant(db)
  for (const [, { wire, reply, expected }] of SOUND_QUIRKS) {
    if (wire === 'anthropic') continue
    const isRefused = expected.refusal !== '' || expected.finish === 'content_filter'
    const [status, code] = isRefused ? ([400, 'policy_violation'] as const) : ([503, 'service_unavailable'] as const)
    await expectNothing(tenant, await draw(tenant, reply), status, code)
  }
})

describe('a picture by address', () => {
  let lenient: ApiProcess
  let outside: LocalServer
  beforeAll(async () => {
    lenient = await spawnApi({ OUTBOUND_ALLOW_PRIVATE: 'true' })
    outside = await startLocalServer()
  })
  afterAll(async () => {
    await lenient.stop()
    await outside.close()
  })
  const at = (path: string) => ({
    choices: [{ index: 0, message: { images: [{ url: outside.upstream.baseUrl + path }] }, finish_reason: 'stop' }],
  })

  test('in place of base64 is fetched, and given as it was asked for', async () => {
    const tenant = await newTenant(db, { apiUrl: lenient.url })
    const bytes = Buffer.from('89504e470d0a1a0a', 'hex')
    outside.answer(response => void response.writeHead(200, { 'content-type': 'image/png' }).end(bytes))
    const { status, body } = await draw(tenant, at('/a.png'), { response_format: 'b64_json' })
    expect(status).toBe(200)
    expect(body.data).toEqual([{ b64_json: bytes.toString('base64'), mime_type: 'image/png' }])
    expect((await booksOf(db, tenant)).hourly.cost_nanos).toBe(nanos(CARD_USD))
  })

  test.each<[string, number, string, string]>([
    ['that is gone', 404, 'text/plain', 'gone'],
    ['of a page', 200, 'text/html', '<p>'],
    ['of nothing', 200, 'image/png', ''],
  ])('%s costs nothing', async (_, code, contentType, text) => {
    const tenant = await newTenant(db, { apiUrl: lenient.url })
    outside.answer(response => void response.writeHead(code, { 'content-type': contentType }).end(text))
    await expectNothing(tenant, await draw(tenant, at('/a.png')), 503, 'service_unavailable')
  })
})
