import { describe, expect, test } from '@jest/globals'
import type { BatchDetail, BatchJobRow } from '../../../domain/work/batches/batch.schema.ts'
import { chatRow, startBatch, untilEnded } from '../../support/batches.ts'
import type { ApiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakeCalls, fakePrompt } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newKey, newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const idsOf = async (api: ApiClient, path: string): Promise<string[]> =>
  ((await api.get(path)).body.data as { id: string }[]).map(one => one.id)

describe('rows', () => {
  const ROWS = 130
  const pageOf = async (api: ApiClient, id: string, query: string) => {
    const { body } = await api.get<BatchDetail>(`/batches/${id}${query}`)
    return { indexes: body.rows.map(row => row.row_index), more: body.rows_has_more, rows: body.rows }
  }
  const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => from + index)

  test('come a hundred at first, and more from where one asks', async () => {
    const { api } = await newTenant(db)
    const rows = range(0, ROWS).map(n =>
      chatRow(`r${n}`, fakePrompt(n === 1 ? { status: 400 } : { reply: `reply ${n}` })),
    )
    const { id } = await untilEnded(api, await startBatch(api, rows))
    const first = await pageOf(api, id, '')
    expect(first).toMatchObject({ indexes: range(0, 100), more: true })
    expect(await pageOf(api, id, '?rows_after=99')).toMatchObject({ indexes: range(100, ROWS), more: false })
    expect(await pageOf(api, id, '?rows_limit=30&rows_after=99')).toMatchObject({ more: false })
    expect(await pageOf(api, id, '?rows_limit=29&rows_after=99')).toMatchObject({
      indexes: range(100, 129),
      more: true,
    })
    expect(await pageOf(api, id, '?rows_limit=1000')).toMatchObject({ indexes: range(0, ROWS), more: false })
    expect(await pageOf(api, id, '?rows_after=-1&rows_limit=1')).toMatchObject({ indexes: [0], more: true })
    expect(await pageOf(api, id, '?rows_after=2147483647')).toMatchObject({ indexes: [], more: false })

    const [done, failed] = first.rows
    const common = {
      batch_id: id,
      request_id: expect.any(String),
      created_at: expect.any(String),
      updated_at: expect.any(String),
    }
    expect(done).toEqual({
      ...common,
      row_index: 0,
      custom_id: 'r0',
      status: 'completed',
      output_line: expect.any(String),
      error: null,
    })
    expect(JSON.parse(done?.output_line ?? '')).toMatchObject({
      id: `batch_req_${done?.request_id}`,
      custom_id: 'r0',
      response: { request_id: done?.request_id, body: { choices: [{ message: { content: 'reply 0' } }] } },
    })
    expect(failed).toEqual({
      ...common,
      row_index: 1,
      custom_id: 'r1',
      status: 'failed',
      output_line: null,
      error: { code: 'rejected_by_model', message: expect.any(String) },
    } satisfies Record<keyof BatchJobRow, unknown>)
  })

  test.each([
    ['rows_limit', '0'],
    ['rows_limit', '1001'],
    ['rows_limit', 'ten'],
    ['rows_after', '-2'],
    ['rows_after', '2147483648'],
    ['rows_after', 'r1'],
  ])('with a wrong %s (%s) are refused', async (param, value) => {
    const { api } = await newTenant(db)
    const id = await startBatch(api, [chatRow('a', 'x')])
    expectError(await api.get(`/batches/${id}?${param}=${value}`), 400, { code: 'bad_request', param })
  })
})

test('batches are listed the newest first, page by page', async () => {
  const { api } = await newTenant(db)
  expect((await api.get('/batches')).body).toEqual({
    object: 'list',
    data: [],
    has_more: false,
    first_id: null,
    last_id: null,
  })
  const made: string[] = []
  for (let n = 0; n < 5; n++) made.unshift(await startBatch(api, [chatRow('a', 'x')], { metadata: { n } }))
  const all = await api.get('/batches')
  expect(all.body).toMatchObject({ object: 'list', has_more: false, first_id: made[0], last_id: made[4] })
  expect(all.body.data.map((batch: BatchDetail) => batch.metadata?.['n'])).toEqual([4, 3, 2, 1, 0])
  const first = await api.get('/batches?limit=2')
  expect(first.body).toMatchObject({ has_more: true, first_id: made[0], last_id: made[1] })
  expect(await idsOf(api, '/batches?limit=2')).toEqual(made.slice(0, 2))
  expect(await idsOf(api, `/batches?limit=2&after=${made[1]}`)).toEqual(made.slice(2, 4))
  const last = await api.get(`/batches?limit=2&after=${made[3]}`)
  expect(last.body).toMatchObject({ has_more: false, first_id: made[4], last_id: made[4] })
  expect(await idsOf(api, `/batches?after=${made[4]}`)).toEqual([])
})

describe('an Idempotency-Key', () => {
  const keyed = (key: string) => ({ 'idempotency-key': key })

  test('gives the same batch again, also at once, and runs its rows once', async () => {
    const { api, userId } = await newTenant(db)
    const script = { group: `once-${userId}` }
    const fileId = await api.upload([chatRow('a', fakePrompt(script))])
    const request = { input_file_id: fileId, metadata: { a: 1 } }
    const replies = await Promise.all(range(8).map(() => api.post('/batches', request, keyed('k'))))
    expect(replies.map(reply => reply.status)).toEqual(Array(8).fill(200))
    const [id, ...others] = new Set(replies.map(reply => reply.body.id as string))
    expect(others).toEqual([])
    expect(await idsOf(api, '/batches')).toEqual([id])

    const batch = await untilEnded(api, id ?? '')
    const later = await api.post('/batches', request, keyed('k'))
    // As it is now, not as it was.
    expect(later.body).toMatchObject({ id, status: 'completed', output_file_id: batch.output_file_id })
    expect(await fakeCalls(testStack().upstreamUrl, script.group)).toHaveLength(1)
  })

  test('with another input is a conflict, and makes nothing', async () => {
    const { api } = await newTenant(db)
    const [one, two] = [await api.upload([chatRow('a', 'x')]), await api.upload([chatRow('a', 'x')])]
    const { body } = await api.post('/batches', { input_file_id: one }, keyed('k'))
    for (const request of [{ input_file_id: two }, { input_file_id: one, completion_window: '1h' }]) {
      const reply = await api.post('/batches', request, keyed('k'))
      expectError(reply, 409, { code: 'bad_request', type: 'conflict', param: 'Idempotency-Key' })
      expect(reply.headers.get('x-should-retry')).toBe('false')
    }
    expect(await idsOf(api, '/batches')).toEqual([body.id])
  })

  test('of a refused request is free again', async () => {
    const { api } = await newTenant(db)
    const refused = await api.post('/batches', { input_file_id: `file_${'0'.repeat(32)}` }, keyed('k'))
    expectError(refused, 404, { param: 'input_file_id' })
    const fileId = await api.upload([chatRow('a', 'x')])
    expect((await api.post('/batches', { input_file_id: fileId }, keyed('k'))).status).toBe(200)
  })

  test("is its owner's alone", async () => {
    const [mine, theirs] = [await newTenant(db), await newTenant(db)]
    const batchOf = async (api: ApiClient) =>
      (await api.post('/batches', { input_file_id: await api.upload([chatRow('a', 'x')]) }, keyed('k'))).body.id
    const [first, second] = [await batchOf(mine.api), await batchOf(theirs.api)]
    expect(second).toMatch(/^batch_/)
    expect(second).not.toBe(first)
    // Another key of the same account shares it.
    const other = await newKey(db, mine.userId)
    const { input_file_id } = (await mine.api.get(`/batches/${first}`)).body
    const again = await other.api.post('/batches', { input_file_id }, keyed('k'))
    expect(again.body.id).toBe(first)
  })

  const range = (count: number) => Array.from({ length: count })
})

describe('completion_window', () => {
  test.each([
    ['24h', 86_400],
    ['30m', 1_800],
    ['600s', 600],
    ['7d', 604_800],
    ['168h', 604_800],
    ['60s', 60],
    [undefined, 86_400],
  ])('%s is taken', async (completion_window, seconds) => {
    const { api } = await newTenant(db)
    const input_file_id = await api.upload([chatRow('a', 'x')])
    const { status, body } = await api.post('/batches', {
      input_file_id,
      ...(completion_window && { completion_window }),
    })
    expect({ status, seconds: body.completion_window_secs }).toEqual({ status: 200, seconds })
    expect(Date.parse(body.deadline_at) - Date.parse(body.created_at)).toBe(seconds * 1000)
  })

  test.each(['8d', '169h', '604801s', '0s', '-1h', '24', '24 h', 'h', '1.5h', '24H', '1w', '', '99999999h', 24, null])(
    '%p is refused',
    async completion_window => {
      const { api } = await newTenant(db)
      const input_file_id = await api.upload([chatRow('a', 'x')])
      const reply = await api.post('/batches', { input_file_id, completion_window })
      expectError(reply, 400, { code: 'bad_request', param: 'completion_window' })
      expect(await idsOf(api, '/batches')).toEqual([])
    },
  )
})
