import { describe, expect, test } from '@jest/globals'
import { chatRow, linesOfFile, startBatch, untilEnded } from '../../support/batches.ts'
import { testDatabase } from '../../support/database.ts'
import { fakeCalls, fakePrompt } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant } from '../../support/tenants.ts'
import { booksOf } from '../../support/books.ts'

const db = testDatabase()
const MESSAGES = [{ role: 'user', content: 'hello' }]

interface Wanted {
  code: string
  /** The field that the message and `param` name. */
  param?: string
  customId: string | null
}

const without = (field: string) => Object.fromEntries(Object.entries(chatRow('bad', 'x')).filter(([k]) => k !== field))
const withBody = (body: unknown) => JSON.stringify({ ...chatRow('bad', 'x'), body })
const bad = (param: string, code = 'bad_request'): Wanted => ({ code, param, customId: 'bad' })

const BAD_LINES: [string, string | Buffer, Wanted][] = [
  ['is not JSON', '{"custom_id": "bad", "method"', { code: 'invalid_json_line', customId: null }],
  ['is not an object', '[1, 2]', { code: 'invalid_json_line', customId: null }],
  [
    'is not UTF-8',
    Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    { code: 'invalid_json_line', customId: null },
  ],
  [
    'repeats a custom_id',
    JSON.stringify(chatRow('good', 'x')),
    { ...bad('custom_id', 'duplicate_custom_id'), customId: 'good' },
  ],
  ['has no custom_id', JSON.stringify(without('custom_id')), { ...bad('custom_id'), customId: null }],
  [
    'has a custom_id that is a number',
    JSON.stringify({ ...without('custom_id'), custom_id: 7 }),
    { ...bad('custom_id'), customId: null },
  ],
  ['has no method', JSON.stringify(without('method')), bad('method')],
  ['has another method', JSON.stringify({ ...chatRow('bad', 'x'), method: 'GET' }), bad('method')],
  ['has no url', JSON.stringify(without('url')), bad('url')],
  ['has another url', JSON.stringify({ ...chatRow('bad', 'x'), url: '/v1/responses' }), bad('url')],
  ["has another endpoint's url", JSON.stringify({ ...chatRow('bad', 'x'), url: '/v1/embeddings' }), bad('url')],
  ['has no body', JSON.stringify(without('body')), bad('body')],
  ['has a body that is a text', withBody('x'), bad('body')],
  ['streams', JSON.stringify(chatRow('bad', 'x', { stream: true })), bad('body.stream')],
  ['has no model', withBody({ messages: MESSAGES }), bad('body.model')],
  ['has an unknown model', withBody({ model: 'no/such', messages: MESSAGES }), bad('model', 'model_not_found')],
  [
    'has a model for embeddings',
    withBody({ model: 'test/embed', messages: MESSAGES }),
    bad('model', 'model_does_not_support_chat'),
  ],
  ['has no messages', withBody({ model: 'test/plain' }), bad('messages')],
  ['has messages of another type', withBody({ model: 'test/plain', messages: 'hello' }), bad('messages')],
  [
    'has a wrong temperature',
    withBody({ model: 'test/plain', messages: MESSAGES, temperature: 'hot' }),
    bad('temperature'),
  ],
  [
    'is in the older form and streams',
    JSON.stringify({ custom_id: 'bad', model: 'test/plain', messages: MESSAGES, stream: true }),
    bad('body.stream'),
  ],
  ['is in the older form without messages', JSON.stringify({ custom_id: 'bad', model: 'test/plain' }), bad('messages')],
]

describe('a line fails by itself', () => {
  test.each(BAD_LINES)('that %s', async (_, line, { code, param, customId }) => {
    const { api } = await newTenant(db)
    const good = (id: string) => Buffer.from(`${JSON.stringify(chatRow(id, 'hello'))}\n`)
    // A blank line before it: lines are counted as an editor counts them.
    const body = Buffer.concat([good('good'), Buffer.from('\n'), Buffer.from(line), Buffer.from('\n'), good('last')])
    const { body: file } = await api.send('POST', '/files?purpose=batch', {
      headers: { 'content-type': 'application/octet-stream' },
      body,
    })
    const { body: created } = await api.post('/batches', { input_file_id: file.id })
    const batch = await untilEnded(api, created.id as string)
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 3, completed: 2, failed: 1 } })
    const output = await linesOfFile(api, batch.output_file_id)
    expect(output.map(({ custom_id }) => custom_id)).toEqual(['good', 'last'])
    const [error, ...more] = await linesOfFile(api, batch.error_file_id)
    expect(more).toEqual([])
    expect(error).toMatchObject({ custom_id: customId, response: null, error: { code, line: 3 } })
    expect(error.error.param ?? null).toBe(param ?? null)
    expect(error.error.message).toContain(param?.split('.').at(-1) ?? 'line')
  })
})

describe('a file fails as a whole', () => {
  const rows = (count: number) => '{}\n'.repeat(count)
  test.each([
    ['that is empty', '', /no rows/],
    ['of blank lines', '\n \r\n\t\n', /no rows/],
    ['with no line that is JSON', 'a,b,c\n1,2,3\n', /JSONL/],
    ['with no line that is an object', '[]\n"x"\n7\n', /JSONL/],
    ['of 50,001 rows', rows(50_001), /50000/],
  ])('%s', async (_, content, reason) => {
    const tenant = await newTenant(db)
    const { api } = tenant
    const batch = await untilEnded(api, await startBatch(api, content))
    expect(batch).toMatchObject({
      status: 'failed',
      last_error: expect.stringMatching(reason),
      output_file_id: null,
      request_counts: { completed: 0 },
      reserved_credit_total: null,
      completed_at: expect.any(String),
    })
    const { calls, balanceNanos } = await booksOf(db, tenant)
    expect({ calls, balanceNanos }).toEqual({ calls: [], balanceNanos: 10_000_000_000n })
    // The job has ended, so its file is free.
    expect((await api.delete(`/files/${batch.input_file_id}`)).status).toBe(204)
  })

  test('but not of 50,000 rows', async () => {
    const { api } = await newTenant(db)
    const batch = await untilEnded(api, await startBatch(api, rows(50_000)))
    expect(batch).toMatchObject({
      status: 'completed',
      request_counts: { total: 50_000, completed: 0, failed: 50_000 },
    })
    const lines = await linesOfFile(api, batch.error_file_id)
    expect(lines.map(({ error }) => error.line)).toEqual(Array.from({ length: 50_000 }, (_, index) => index + 1))
  })
})

test('rows that fail in the call are in the error file, and the batch is completed', async () => {
  const { api, userId } = await newTenant(db)
  const script = { id: `refused-${userId}`, status: 400, errorMessage: "Invalid value for 'seed'" }
  const batch = await untilEnded(
    api,
    await startBatch(
      api,
      [1, 2, 3].map(n => chatRow(`r${n}`, fakePrompt(script))),
    ),
  )
  expect(batch).toMatchObject({
    status: 'completed',
    request_counts: { total: 3, completed: 0, failed: 3 },
    output_file_id: null,
    last_error: null,
    usage: { cost_usd: 0 },
  })
  const lines = await linesOfFile(api, batch.error_file_id)
  expect(lines.map(({ custom_id, error }) => [custom_id, error.code])).toEqual([
    ['r1', 'rejected_by_model'],
    ['r2', 'rejected_by_model'],
    ['r3', 'rejected_by_model'],
  ])
  expect(lines[0].error.message).toContain('`seed`')
  // What a model rejects is not sent again.
  expect(await fakeCalls(testStack().upstreamUrl, script.id)).toHaveLength(3)
})

test("a key's allowed models bind its rows", async () => {
  const { api } = await newTenant(db, { allowedModels: ['test/plain'] })
  const rows = [chatRow('a', 'x'), chatRow('b', 'x', { model: 'test/bare' })]
  const batch = await untilEnded(api, await startBatch(api, rows))
  expect(batch.request_counts).toEqual({ total: 2, completed: 1, failed: 1 })
  const [line] = await linesOfFile(api, batch.error_file_id)
  expect(line).toMatchObject({ custom_id: 'b', error: { code: 'model_not_allowed', line: 2 } })
})
