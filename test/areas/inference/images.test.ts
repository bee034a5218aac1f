import type { ServerResponse } from 'node:http'
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import type { ImageGenerationResponse } from '../../../domain/inference/images/image.schema.ts'
import { spawnApi, type ApiProcess } from '../../support/api-process.ts'
import { testDatabase } from '../../support/database.ts'
import { booksOf } from '../../support/books.ts'
import { upstreamCallsOf } from '../../support/chats.ts'
import { expectError } from '../../support/errors.ts'
import { fakePrompt, type FakeScript } from '../../support/fake-upstream.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { startLocalServer, type LocalServer } from '../../unit/infra/upstreams/local-server.ts'

const db = testDatabase()
const IMAGES = '/images/generations'
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='
const DATA_URL = `data:image/png;base64,${PNG}`
const drawing = (url = DATA_URL): FakeScript => ({
  reply: '',
  extraMessage: { images: [{ type: 'image_url', image_url: { url } }] },
  usage: { prompt_tokens: 12, completion_tokens: 0, total_tokens: 12, cost: 0.0387925 },
})
const draw = (tenant: Tenant, body: object = {}, script: FakeScript = drawing()) =>
  tenant.api.post<ImageGenerationResponse>(IMAGES, {
    model: 'test/draw',
    prompt: fakePrompt({ ...script, id: tenant.keyId }),
    ...body,
  })
const spentNanos = async (tenant: Tenant) => (await booksOf(db, tenant)).hourly.cost_nanos
const asked = async (tenant: Tenant): Promise<any> => (await upstreamCallsOf(tenant))[0]?.body

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

describe('an image', () => {
  test('comes as a data URL, and costs exactly what the provider says', async () => {
    const tenant = await newTenant(db)
    const { status, body, headers } = await draw(tenant)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      created: expect.any(Number),
      data: [{ url: DATA_URL, mime_type: 'image/png' }],
      usage: { prompt_tokens: 12, images: 1, cost_usd: 0.0387925 },
    })
    expect(await spentNanos(tenant)).toBe(38_792_500n)
    const [record] = (await tenant.api.get('/request-history')).body
    expect(record).toMatchObject({
      request_id: headers.get('x-request-id'),
      execution_kind: 'images',
      model: 'test/draw',
      cost: 0.0387925,
    })
  })

  test('comes as base64, with what the model wrote beside it', async () => {
    const tenant = await newTenant(db)
    const script = { ...drawing(), reply: 'A cat on a mat.' }
    const { body } = await draw(tenant, { response_format: 'b64_json' }, script)
    expect(body.data).toEqual([{ b64_json: PNG, mime_type: 'image/png', revised_prompt: 'A cat on a mat.' }])
  })

  test('is asked for in the words of OpenRouter', async () => {
    const tenant = await newTenant(db)
    await draw(tenant, { size: '1792x1024', quality: 'hd', image_config: { strength: 0.5 } })
    expect(await asked(tenant)).toEqual({
      model: 'test/draw',
      messages: [{ role: 'user', content: expect.any(String) }],
      modalities: ['image'],
      image_config: { aspect_ratio: '16:9', image_size: '2K', strength: 0.5 },
    })
  })

  test.each([
    ['1024x1024', '1:1'],
    ['1024x1536', '2:3'],
    ['1920x1080', '16:9'],
    ['1000x1100', '1:1'],
    ['8000x1000', '21:9'],
  ])('of %s is one of %s', async (size, ratio) => {
    const tenant = await newTenant(db)
    await draw(tenant, { size })
    expect((await asked(tenant)).image_config).toEqual({ aspect_ratio: ratio })
  })

  test('one of several is drawn by a call of its own, in one record', async () => {
    const tenant = await newTenant(db)
    const { body } = await draw(tenant, { n: 3 })
    expect(body.data).toHaveLength(3)
    expect(await upstreamCallsOf(tenant)).toHaveLength(3)
    expect((await tenant.api.get('/usage')).body).toMatchObject({ total_requests: 1, total_cost: 0.1163775 })
  })

  test('those that came are given and paid where others failed', async () => {
    const tenant = await newTenant(db)
    const { body } = await draw(tenant, { n: 3 }, { ...drawing(), failTimes: 1, status: 400 })
    expect(body.data).toHaveLength(2)
    expect(await spentNanos(tenant)).toBe(77_585_000n)
  })

  test('costs the price of the card where the provider says none', async () => {
    const tenant = await newTenant(db)
    await draw(tenant, {}, { ...drawing(), usage: { prompt_tokens: 1, completion_tokens: 0 } })
    expect(await spentNanos(tenant)).toBe(100_000_000n)
  })

  test('needs the credit for all of them before it is drawn', async () => {
    const tenant = await newTenant(db, { creditUsd: '0.15' })
    expectError(await draw(tenant, { n: 2 }), 402, { code: 'payment_required' })
    expect((await draw(tenant)).status).toBe(200)
  })

  test.each<[string, FakeScript, number, string]>([
    ['draws nothing', { reply: 'I would rather not.' }, 503, 'service_unavailable'],
    ['refuses the prompt', { reply: '', finishReason: 'content_filter' }, 400, 'policy_violation'],
    ['gives an address that may not be asked', drawing('https://127.0.0.1/a.png'), 503, 'service_unavailable'],
  ])('costs nothing where the model %s', async (_, script, status, code) => {
    const tenant = await newTenant(db)
    expectError(await draw(tenant, {}, script), status, { code })
    expect(await spentNanos(tenant)).toBe(0n)
  })

  test('is of a model that draws, for keys that may leave', async () => {
    const tenant = await newTenant(db)
    expectError(await draw(tenant, { model: 'test/plain' }), 400, { param: 'model' })
    expectError(await draw(tenant, { model: 'no/such' }), 404, { param: 'model' })
    expectError(
      await tenant.api.post('/chat/completions', { model: 'test/draw', messages: [{ role: 'user', content: 'x' }] }),
      400,
      { param: 'model' },
    )
    const { body } = await tenant.api.get('/models/x-ai%2Fgrok-imagine-image-quality?include_unavailable=true')
    expect(body.id).toBe('grok-imagine-image-quality')
  })
})

describe('a reference', () => {
  test('by data URL goes along with the prompt', async () => {
    const tenant = await newTenant(db)
    await draw(tenant, { image_url: DATA_URL, image_urls: [DATA_URL] })
    const [prompt, ...references] = (await asked(tenant)).messages[0].content
    expect(prompt.type).toBe('text')
    expect(references).toEqual(Array(2).fill({ type: 'image_url', image_url: { url: DATA_URL } }))
  })

  test('by address is fetched here and goes along as it is', async () => {
    const tenant = await newTenant(db, { apiUrl: lenient.url })
    outside.answer(response => {
      response.writeHead(200, { 'content-type': 'image/png' }).end(Buffer.from(PNG, 'base64'))
    })
    const { status } = await draw(tenant, { image_urls: [`${outside.upstream.baseUrl}/cat.png`] })
    expect(status).toBe(200)
    expect((await asked(tenant)).messages[0].content[1]).toEqual({ type: 'image_url', image_url: { url: DATA_URL } })
  })

  test.each([
    ['a private address', 'https://127.0.0.1/a.png'],
    ['plain HTTP', 'http://example.com/a.png'],
    ['a file', 'file:///etc/passwd'],
    ['a data URL of text', 'data:text/html;base64,AAAA'],
    ['a drawing that can hold scripts', `data:image/svg+xml;base64,${PNG}`],
    ['a data URL that is none', 'data:image/png;base64,***'],
    ['nothing', ''],
  ])('is refused where it is %s', async (_, url) => {
    const tenant = await newTenant(db)
    expectError(await draw(tenant, { image_url: url }), 400, { param: 'image_url' })
    expectError(await draw(tenant, { image_urls: [DATA_URL, url] }), 400, { param: 'image_urls.1' })
    expect(await upstreamCallsOf(tenant)).toEqual([])
  })

  test.each<[string, (response: ServerResponse) => void]>([
    ['is a page', response => void response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')],
    ['leads elsewhere', response => void response.writeHead(302, { location: 'https://example.com' }).end()],
    ['is not there', response => void response.writeHead(404).end()],
    [
      'is too large',
      response => void response.writeHead(200, { 'content-type': 'image/png', 'content-length': 2 ** 30 }).end(),
    ],
  ])('is refused where what lies there %s', async (_, answer) => {
    const tenant = await newTenant(db, { apiUrl: lenient.url })
    outside.answer(answer)
    expectError(await draw(tenant, { image_url: `${outside.upstream.baseUrl}/x` }), 400, { param: 'image_url' })
  })
})
