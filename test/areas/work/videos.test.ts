import { describe, expect, test } from '@jest/globals'
import type { VideoGenerationJob } from '../../../domain/work/videos/video.schema.ts'
import { booksOf } from '../../support/books.ts'
import { upstreamCallsOf } from '../../support/chats.ts'
import { apiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakePrompt, type FakeScript } from '../../support/fake-upstream.ts'
import { temporalClient } from '../../support/temporal.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const temporal = temporalClient()
const VIDEOS = '/videos'
const RUNNING = { status: 'in_progress' }
const DONE = { status: 'completed', unsigned_urls: ['https://example.com/v.mp4'], usage: { cost: 0.3512345 } }
type Video = NonNullable<FakeScript['video']>

const post = (tenant: Tenant, video: Video, body: object = {}, script: FakeScript = {}) =>
  tenant.api.post<VideoGenerationJob>(VIDEOS, {
    model: 'test/film',
    prompt: fakePrompt({ ...script, id: tenant.keyId, video }),
    ...body,
  })
const get = async ({ api }: Tenant, id: string) => (await api.get<VideoGenerationJob>(`${VIDEOS}/${id}`)).body
async function made(tenant: Tenant, video: Video, body: object = {}, script: FakeScript = {}) {
  const { status, body: job } = await post(tenant, video, body, script)
  expect(status).toBe(202)
  return until(async () => {
    const now = await get(tenant, job.id)
    return !['pending', 'in_progress'].includes(now.status) && now
  })
}
const held = async ({ userId }: Tenant) =>
  (await db.query<{ held_nanos: bigint }>('SELECT held_nanos FROM accounts WHERE user_id = $1', [userId])).rows[0]
    ?.held_nanos

describe('a video', () => {
  test('is made by a durable job, copied to our store, and costs what the provider says', async () => {
    const tenant = await newTenant(db)
    const { body: begun, status } = await post(tenant, { polls: [RUNNING, RUNNING, DONE] }, { duration: 5 })
    expect(status).toBe(202)
    expect(begun).toMatchObject({
      object: 'video.generation',
      status: 'pending',
      polling_url: `/v1/videos/${begun.id}`,
    })
    expect(await held(tenant)).toBe(500_000_000n)
    const video = await until(async () => {
      const now = await get(tenant, begun.id)
      return now.status === 'completed' && now
    })
    expect(video).toMatchObject({ generation_id: expect.stringMatching(/^gen-/), usage: { cost: 0.3512345 } })
    expect(await held(tenant)).toBe(0n)
    const { calls, charges } = await booksOf(db, tenant)
    expect(calls).toMatchObject([{ surface: 'videos', status: 'completed', cost_nanos: 351_234_500n }])
    expect(charges).toHaveLength(1)
    expect((await upstreamCallsOf(tenant)).map(call => call.body)).toEqual([
      { model: 'test/film', prompt: expect.any(String), duration: 5 },
    ])
  })

  test('is downloaded by its owner, or by whoever has the link, whole and in part', async () => {
    const tenant = await newTenant(db)
    const video = await made(tenant, { polls: [DONE] })
    const [link = ''] = video.unsigned_urls ?? []
    const whole = await fetch(link)
    expect([whole.status, whole.headers.get('content-type'), whole.headers.get('content-length')]).toEqual([
      200,
      'video/mp4',
      '100000',
    ])
    const bytes = Buffer.from(await whole.arrayBuffer())
    const part = await fetch(link, { headers: { range: 'bytes=4-11' } })
    expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 4-11/100000'])
    expect(Buffer.from(await part.arrayBuffer())).toEqual(bytes.subarray(4, 12))
    expect((await tenant.api.get(`${VIDEOS}/${video.id}/content`)).status).toBe(200)
    expect((await fetch(link, { headers: { range: 'bytes=100000-' } })).status).toBe(416)
    const known = await fetch(link, { headers: { 'if-none-match': whole.headers.get('etag') ?? '' } })
    expect([known.status, await known.text(), known.headers.get('cache-control')]).toEqual([
      304,
      '',
      'private, no-cache',
    ])
    const head = await fetch(link, { method: 'HEAD' })
    expect([head.status, head.headers.get('content-length')]).toEqual([200, '100000'])
    const stranger = await newTenant(db)
    expect((await fetch(link, { headers: { 'x-api-key': stranger.secret } })).status).toBe(200)
  })

  test('is not downloaded by others', async () => {
    const tenant = await newTenant(db)
    const video = await made(tenant, { polls: [DONE] })
    const [link = ''] = video.unsigned_urls ?? []
    const path = `${VIDEOS}/${video.id}/content`
    const query = new URL(link).searchParams
    const expires = Number(query.get('expires'))
    const nobody = apiClient(undefined)
    expectError(await nobody.get(path), 401)
    expectError(await nobody.get(`${path}?expires=${expires + 1}&signature=${query.get('signature')}`), 401)
    expectError(await nobody.get(`${path}?expires=${expires}&signature=AAAA`), 401)
    expectError(await nobody.get(`${path}?${query.toString()}&index=0`), 401)
    expectError(await tenant.api.get(`${path}?expires=1&signature=AAAA`), 401)
    const other = await made(tenant, { polls: [DONE] })
    expectError(await nobody.get(`${VIDEOS}/${other.id}/content?${query.toString()}`), 401)
    expectError(await (await newTenant(db)).api.get(path), 404, { param: 'job_id' })
  })

  test('is held at the price of the catalog, which must be there', async () => {
    const tenant = await newTenant(db, { creditUsd: '0.79' })
    expectError(await post(tenant, { polls: [DONE] }), 402, { code: 'payment_required' })
    expect((await post(tenant, { polls: [DONE] }, { duration: 7 })).status).toBe(202)
  })

  test.each([
    { duration: 1, resolution: '480p' },
    { duration: 15, resolution: '720p', generate_audio: true },
    { duration: 4, size: '7680x4320' },
    { size: '1920x1080', aspect_ratio: '21:9' },
  ])('costs no more than what was held for its length: %j', async asked => {
    const tenant = await newTenant(db)
    const dear = { ...DONE, usage: { cost: 100 } }
    const { body: job } = await post(tenant, { polls: [RUNNING, dear] }, asked)
    const seconds = asked.duration ?? 8
    expect(await held(tenant)).toBe(BigInt(seconds) * 100_000_000n)
    await until(async () => (await get(tenant, job.id)).status === 'completed', 30_000)
    expect((await upstreamCallsOf(tenant)).map(call => call.body)).toMatchObject([{ ...asked, duration: seconds }])
    const { balanceNanos, charges } = await booksOf(db, tenant)
    expect(charges).toMatchObject([{ amount_nanos: BigInt(seconds) * -100_000_000n }])
    expect(balanceNanos).toBe(10_000_000_000n - BigInt(seconds) * 100_000_000n)
  })

  test('that fails and is paid all the same is told to operators', async () => {
    const tenant = await newTenant(db)
    const { id } = await made(tenant, { polls: [{ status: 'failed', error: 'x', usage: { cost: 0.25 } }] })
    // It is written down beside the transaction that ends the video.
    const noted = await until(async () => {
      const { rows } = await db.query<{ nanos: bigint }>(
        'SELECT uncharged_nanos AS nanos FROM jobs WHERE resource_id = $1 AND uncharged_nanos > 0',
        [id],
      )
      return rows[0]?.nanos
    })
    expect(noted).toBe(250_000_000n)
    expect((await booksOf(db, tenant)).balanceNanos).toBe(10_000_000_000n)
  })

  test('costs what was held where the provider says nothing', async () => {
    const tenant = await newTenant(db)
    await made(tenant, { polls: [{ ...DONE, usage: undefined }] }, { duration: 2 })
    expect((await booksOf(db, tenant)).calls).toMatchObject([{ cost_nanos: 200_000_000n }])
  })

  test('is made once for an idempotency key', async () => {
    const tenant = await newTenant(db)
    const body = { model: 'test/film', prompt: fakePrompt({ id: tenant.keyId, video: { polls: [DONE] } }) }
    const send = () => tenant.api.post<VideoGenerationJob>(VIDEOS, body, { 'idempotency-key': 'k' })
    const [first, second] = await Promise.all([send(), send()])
    expect(first.body.id).toBe(second.body.id)
  })

  test('is asked for again where the provider was away, and once where it answered', async () => {
    const tenant = await newTenant(db)
    const video = await made(tenant, { polls: [DONE] }, {}, { status: 503, failTimes: 2 })
    expect(video.status).toBe('completed')
    expect(await upstreamCallsOf(tenant)).toHaveLength(3)
  })
})

describe('a job ends with a clear error, and costs nothing, where the provider', () => {
  test.each<[string, Video, string, RegExp]>([
    [
      'fails',
      { polls: [RUNNING, { status: 'failed', error: 'pool eu-7: flagged as violence' }] },
      'failed',
      /^The provider ended the job as failed: The request is against the content policy of the model's provider\.$/,
    ],
    ['fails without a word', { polls: [{ status: 'error' }] }, 'failed', /^The provider ended the job as failed\.$/],
    [
      'fails with words of its own',
      { polls: [{ status: 'failed', error: 'eu-7.internal is down' }] },
      'failed',
      /^The provider ended the job as failed\.$/,
    ],
    ['cancels', { polls: [{ status: 'canceled' }] }, 'cancelled', /cancelled/],
    ['lets it expire', { polls: [{ status: 'expired' }] }, 'expired', /expired/],
    ['completes it without an address', { polls: [{ ...DONE, unsigned_urls: [] }] }, 'failed', /without a video/],
    ['uses another word', { polls: [{ status: 'levitating' }] }, 'failed', /not known: levitating\.$/],
    ['uses a long one', { polls: [{ status: 'at 10.0.0.7' }] }, 'failed', /status that is not known\.$/],
    ['forgets it', { polls: [RUNNING, { status: 404 }] }, 'failed', /no longer knows the job/],
    ['lost the video', { polls: [DONE], content: { status: 404 } }, 'failed', /no longer has the video/],
    ['gives a page', { polls: [DONE], content: { contentType: 'text/html' } }, 'failed', /is no video/],
  ])('%s', async (_, script, status, error) => {
    const tenant = await newTenant(db)
    const video = await made(tenant, script)
    expect(video).toMatchObject({ status, error: expect.stringMatching(error) })
    expect(video).not.toHaveProperty('unsigned_urls')
    expectError(await tenant.api.get(`${VIDEOS}/${video.id}/content`), 409, { param: 'job_id' })
    expect(await held(tenant)).toBe(0n)
    expect((await booksOf(db, tenant)).charges).toEqual([])
  })

  test('refuses the request', async () => {
    const tenant = await newTenant(db)
    const video = await made(tenant, { polls: [] }, {}, { status: 400, errorMessage: 'too violent' })
    expect(video).toMatchObject({ status: 'failed' })
    expect(await held(tenant)).toBe(0n)
  })
})

test('a look that fails is taken again, and one at which the job is unknown for a moment too', async () => {
  const tenant = await newTenant(db)
  const video = await made(tenant, { polls: [{ status: 404 }, { status: 500 }, { status: 404 }, RUNNING, DONE] })
  expect(video.status).toBe('completed')
})

test('a job whose workflow was terminated ends as failed', async () => {
  const tenant = await newTenant(db)
  const { body: job } = await post(tenant, { polls: [RUNNING] })
  await until(async () => (await get(tenant, job.id)).status === 'in_progress')
  await temporal.workflow.getHandle(`${job.id}.1`).terminate('test')
  await db.query(`UPDATE jobs SET touched_at = now() - interval '1 minute' WHERE resource_id = $1`, [job.id])
  const video = await until(async () => {
    const now = await get(tenant, job.id)
    return now.status === 'failed' && now
  })
  expect(video.error).toContain('terminated by an operator')
  expect(await held(tenant)).toBe(0n)
})

test.each([
  [{ prompt: '' }, 'prompt'],
  [{ duration: 16 }, 'duration'],
  [{ resolution: '4k' }, 'resolution'],
  [{ size: 'big' }, 'size'],
  [{ frame_images: [{ image_url: { url: 'http://example.com/a.png' } }] }, 'frame_images.0.image_url.url'],
  [{ input_references: [{}] }, 'input_references.0.image_url.url'],
  [{ model: 'test/plain' }, 'model'],
])('%j is refused by name', async (body, param) => {
  const tenant = await newTenant(db)
  expectError(await post(tenant, { polls: [DONE] }, body), 400, { param })
})
