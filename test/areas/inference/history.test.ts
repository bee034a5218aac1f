import { describe, expect, test } from '@jest/globals'
import type { RequestHistoryRecord } from '../../../domain/inference/history/history.schema.ts'
import { callAt, insertPastCalls } from '../../support/calls.ts'
import { CHAT, chatOf, upstreamCallsOf } from '../../support/chats.ts'
import type { ApiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { tenantWithPolicy } from '../../support/policies.ts'
import { newKey, newTenant, type Tenant } from '../../support/tenants.ts'

const db = testDatabase()
const HISTORY = '/request-history'
const UNKNOWN = '00000000-0000-7000-8000-000000000000'

const historyOf = async (api: ApiClient, query = ''): Promise<RequestHistoryRecord[]> =>
  (await api.get<RequestHistoryRecord[]>(`${HISTORY}${query}`)).body
const idOf = (reply: { headers: Headers }): string => reply.headers.get('x-request-id') ?? ''

describe('request history', () => {
  test('tells of a call what was asked for, what came of it and what it cost, and no content', async () => {
    const { api } = await newTenant(db)
    const metadata = { session_id: 's', read_file_cache_hits: 3 }
    const reply = await api.post(CHAT, chatOf({ reply: 'a secret' }, { metadata }))
    const [record] = await historyOf(api)
    expect(record).toEqual({
      request_id: idOf(reply),
      model: 'test/plain',
      requested_model_id: 'test/plain',
      execution_kind: 'chat',
      status: 'completed',
      tokens_in: reply.body.usage.prompt_tokens,
      tokens_out: reply.body.usage.completion_tokens,
      token_details: expect.objectContaining({ total_tokens: reply.body.usage.total_tokens }),
      cost: reply.body.ipop.cost_usd,
      request_metadata: metadata,
      created_at: expect.stringMatching(/Z$/),
      started_at: expect.stringMatching(/Z$/),
      completed_at: expect.stringMatching(/Z$/),
      updated_at: expect.stringMatching(/Z$/),
    })
    expect((await api.get(`${HISTORY}/${record?.request_id}`)).body).toEqual(record)
  })

  test('tells why a call failed, or was canceled', async () => {
    const tenant = await newTenant(db)
    await insertPastCalls(db, [
      callAt(tenant, new Date(Date.now() - 1_000), { status: 'failed', errorCode: 'upstream_error' }),
      callAt(tenant, new Date(), { status: 'canceled', errorCode: 'client_closed' }),
    ])
    const records = await historyOf(tenant.api)
    expect(records.map(one => [one.status, one.error, one.cancellation_reason])).toEqual([
      ['canceled', undefined, 'client_closed'],
      ['failed', 'upstream_error', undefined],
    ])
  })

  test('filters, and pages without a gap', async () => {
    const tenant = await newTenant(db)
    const start = Date.now() - 60_000
    const at = (second: number) => new Date(start + second * 1_000)
    const replayOf = callAt(tenant, at(0)).id
    const calls = [
      callAt(tenant, at(1), { model: 'test/other' }),
      callAt(tenant, at(2), { surface: 'responses' }),
      callAt(tenant, at(3), { status: 'failed', errorCode: 'x' }),
      callAt(tenant, at(4), { metadata: { session_id: 'one' } }),
      callAt(tenant, at(5), { surface: 'replay', replayOf }),
    ]
    await insertPastCalls(db, calls)
    const ids = calls.map(call => call.id)
    const found = async (query: string) =>
      (await historyOf(tenant.api, `?${query}`)).map(one => ids.indexOf(one.request_id))
    expect(await found('model=test/other')).toEqual([0])
    expect(await found('execution_kind=responses')).toEqual([1])
    expect(await found('status=failed')).toEqual([2])
    expect(await found('session_id=one')).toEqual([3])
    expect(await found(`replay_of=${replayOf}`)).toEqual([4])
    expect(await found(`api_key_id=${tenant.keyId}`)).toEqual([4, 3, 2, 1, 0])
    expect(await found('api_key_id=key_other')).toEqual([])
    expect(await found(`from=${at(2).toISOString()}&to=${at(4).toISOString()}`)).toEqual([2, 1])

    const pages: number[][] = []
    for (let path = `${HISTORY}?limit=2`; path !== '';) {
      const reply = await tenant.api.get<RequestHistoryRecord[]>(path)
      pages.push(reply.body.map(one => ids.indexOf(one.request_id)))
      path = /<\/v1([^>]+)>; rel="next"/.exec(reply.headers.get('link') ?? '')?.[1] ?? ''
      expect(reply.headers.has('x-next-cursor')).toBe(path !== '')
    }
    expect(pages).toEqual([[4, 3], [2, 1], [0]])
  })

  test.each([
    'after=x',
    'replay_of=x',
    'limit=0',
    'limit=501',
    'status=done',
    'from=x',
    'from=2026-11-02&to=2026-11-01',
  ])('refuses ?%s by name', async query => {
    const { api } = await newTenant(db)
    expectError(await api.get(`${HISTORY}?${query}`), 400, { param: query.split('=')[0] ?? '' })
  })

  test('is exported as JSON and as CSV, as long as it is', async () => {
    const tenant = await newTenant(db)
    const calls = Array.from({ length: 1_203 }, (_, index) =>
      callAt(tenant, new Date(Date.now() - index * 1_000), { metadata: { session_id: '=1+1' } }),
    )
    await insertPastCalls(db, calls)
    const json = await tenant.api.get<RequestHistoryRecord[]>(`${HISTORY}/export`)
    expect(json.body.map(one => one.request_id)).toEqual(calls.map(call => call.id))
    const csv = await tenant.api.get(`${HISTORY}/export`, { accept: 'text/csv' })
    expect(csv.headers.get('content-disposition')).toBe('attachment; filename="request-history.csv"')
    const [head, first, ...rest] = csv.text.trimEnd().split('\n')
    expect(head?.split(',').slice(0, 2)).toEqual(['request_id', 'model'])
    expect(first).toContain(calls[0]?.id ?? 'none')
    expect(rest).toHaveLength(calls.length - 1)
    const filtered = await tenant.api.get(`${HISTORY}/export?status=failed`)
    expect(filtered.body).toEqual([])
  })
})

describe('feedback', () => {
  const feedbackOf = async (requestId: string) =>
    (
      await db.query(
        'SELECT api_key_id, rating, outcome, task_type, notes FROM request_feedback WHERE request_id = $1 ORDER BY created_at',
        [requestId],
      )
    ).rows

  test('is one row for a request and a key, updated by what is said later', async () => {
    const tenant = await newTenant(db)
    const other = await newKey(db, tenant.userId)
    const id = idOf(await tenant.api.post(CHAT, chatOf({ reply: 'x' })))
    const path = `${HISTORY}/${id}/feedback`
    const reply = await tenant.api.post(path, { rating: 1, notes: 'good' })
    expect(reply.body).toEqual({ object: 'request.feedback', request_id: id, recorded: true })
    await tenant.api.post(path, { rating: -1, outcome: 'reverted' })
    await other.api.post(path, { rating: 0, task_type: 'edit' })
    expect(await feedbackOf(id)).toEqual([
      { api_key_id: tenant.keyId, rating: -1, outcome: 'reverted', task_type: null, notes: 'good' },
      { api_key_id: other.keyId, rating: 0, outcome: null, task_type: 'edit', notes: null },
    ])
  })

  test('that says nothing, or of what is not there, is refused', async () => {
    const [tenant, stranger] = [await newTenant(db), await newTenant(db)]
    const id = idOf(await tenant.api.post(CHAT, chatOf({ reply: 'x' })))
    expectError(await tenant.api.post(`${HISTORY}/${id}/feedback`, {}), 400, { param: 'rating' })
    expectError(await tenant.api.post(`${HISTORY}/${id}/feedback`, { notes: 'a\0' }), 400, { param: 'notes' })
    expectError(await stranger.api.post(`${HISTORY}/${id}/feedback`, { rating: 1 }), 404, { param: 'request_id' })
    expectError(await tenant.api.post(`${HISTORY}/${UNKNOWN}/feedback`, { rating: 1 }), 404, { param: 'request_id' })
    expect(await feedbackOf(id)).toEqual([])
  })
})

describe('replay', () => {
  const asked = async (tenant: Tenant, body: object = {}) =>
    idOf(await tenant.api.post(CHAT, chatOf({ id: tenant.keyId, reply: 'again' }, body)))

  test('asks the same model the same again, billed, past the cache, and linked', async () => {
    const tenant = await tenantWithPolicy(db)
    const body = { temperature: 0.25, metadata: { session_id: 's', cache_mode: 'aggressive' } }
    const original = await asked(tenant, body)
    const reply = await tenant.api.post(`${HISTORY}/${original}/replay`)
    expect(reply.status).toBe(200)
    expect(reply.body.choices[0].message.content).toBe('again')
    const { cost_usd: cost, cache_hit: hit } = reply.body.ipop
    expect({ hit, isPaid: cost > 0 }).toEqual({ hit: false, isPaid: true })
    const [first, second] = await upstreamCallsOf(tenant)
    expect(second?.body).toEqual(first?.body)

    const [record] = await historyOf(tenant.api, `?replay_of=${original}`)
    expect(record).toMatchObject({
      request_id: idOf(reply),
      execution_kind: 'replay',
      cost,
      result_preview: 'again',
      request_metadata: { session_id: 's', replay_of: original },
    })
    // A replay is a request like any other: it can be replayed too.
    expect((await tenant.api.post(`${HISTORY}/${record?.request_id}/replay`)).status).toBe(200)
  })

  test('of a stream is a plain reply', async () => {
    const tenant = await tenantWithPolicy(db)
    const stream = await tenant.api.open(CHAT, chatOf({ reply: 'streamed' }, { stream: true }))
    await stream.text()
    const reply = await tenant.api.post(`${HISTORY}/${stream.headers.get('x-request-id')}/replay`)
    expect(reply.body.choices[0].message.content).toBe('streamed')
  })

  test.each([
    ['nothing is kept', undefined, 'not retained'],
    ['it was redacted', { redact: true }, 'redacted'],
    ['it was cut', { max_chars_per_message: 5 }, 'cut'],
  ])('is a conflict where %s', async (_, policy, why) => {
    const tenant = policy === undefined ? await newTenant(db) : await tenantWithPolicy(db, policy)
    const messages = [{ role: 'user', content: 'mail jane@example.com' }]
    const id = idOf(await tenant.api.post(CHAT, { model: 'test/plain', messages }))
    const refused = await tenant.api.post(`${HISTORY}/${id}/replay`)
    expectError(refused, 409, { type: 'conflict', param: 'request_id' })
    expect(refused.body.message).toContain(why)
    expect(await historyOf(tenant.api)).toHaveLength(1)
  })

  test('is of the own requests alone, and of models that the key may use', async () => {
    const tenant = await tenantWithPolicy(db)
    const id = await asked(tenant)
    expectError(await (await newTenant(db)).api.post(`${HISTORY}/${id}/replay`), 404, { param: 'request_id' })
    const narrow = await newKey(db, tenant.userId, {
      ...(tenant.projectId !== undefined && { projectId: tenant.projectId }),
      allowedModels: ['test/embed'],
    })
    expectError(await narrow.api.post(`${HISTORY}/${id}/replay`), 403, { code: 'model_not_allowed' })
  })
})
