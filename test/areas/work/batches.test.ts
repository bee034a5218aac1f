import { describe, expect, test } from '@jest/globals'
import { chatRow, linesOfFile, startBatch, untilBatch, untilEnded } from '../../support/batches.ts'
import { testDatabase } from '../../support/database.ts'
import { fakeCalls, fakePrompt, releaseCalls, waitForCalls } from '../../support/fake-upstream.ts'
import { lockRows } from '../../support/locks.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/

describe('the life of a batch', () => {
  test('validating, in_progress, finalizing, completed', async () => {
    const { api, userId } = await newTenant(db)
    const [slow, refused] = [fakePrompt({ id: `life-${userId}`, held: true, status: 400 }), 'nothing']
    const fileId = await api.upload([chatRow('a', slow), chatRow('b', refused, { stream: true })])
    const { status, body: created } = await api.post('/batches', { input_file_id: fileId, completion_window: '30m' })
    expect({ status, created }).toEqual({
      status: 200,
      created: {
        created: expect.any(Number),
        id: expect.stringMatching(/^batch_[0-9a-f]{32}$/),
        object: 'batch',
        owner_user_id: userId,
        project_id: null,
        status: 'validating',
        endpoint: 'chat_completions',
        input_file_id: fileId,
        output_file_id: null,
        error_file_id: null,
        request_counts: { total: 0, completed: 0, failed: 0 },
        usage: { input_tokens: 0, output_tokens: 0, cost_usd: 0 },
        completion_window_secs: 1800,
        reserved_credit_total: null,
        last_error: null,
        metadata: null,
        created_at: expect.stringMatching(TIME),
        deadline_at: new Date(Date.parse(created.created_at) + 1_800_000).toISOString(),
        started_at: null,
        cancel_requested_at: null,
        completed_at: null,
      },
    })

    await waitForCalls(testStack().upstreamUrl, `life-${userId}`, 1)
    // A refused call costs nothing, so the hold's row is next written when the batch ends.
    const unlock = await lockRows(db, 'SELECT 1 FROM holds WHERE resource_id = $1', [created.id])
    expect((await api.get(`/batches/${created.id}`)).body).toMatchObject({
      status: 'in_progress',
      request_counts: { total: 2, completed: 0, failed: 1 },
      started_at: expect.stringMatching(TIME),
      completed_at: null,
      rows: [
        { row_index: 0, status: 'running' },
        { row_index: 1, status: 'failed' },
      ],
    })
    await releaseCalls(testStack().upstreamUrl, `life-${userId}`)
    const finalizing = await untilBatch(api, created.id, ({ status }) => status !== 'in_progress')
    expect(finalizing).toMatchObject({ status: 'finalizing', error_file_id: null, completed_at: null })
    await unlock()
    expect(await untilEnded(api, created.id)).toMatchObject({
      status: 'completed',
      request_counts: { total: 2, completed: 0, failed: 2 },
      completed_at: expect.stringMatching(TIME),
      last_error: null,
    })
  })

  test("files in row order and in OpenAI's line shape", async () => {
    const { api } = await newTenant(db)
    // The later the row, the earlier its reply.
    const ids = Array.from({ length: 12 }, (_, index) => `row-${index}`)
    const rows = ids.map((id, index) =>
      index % 4 === 3
        ? chatRow(id, 'x', { model: 'test/unknown' })
        : chatRow(id, fakePrompt({ reply: `reply ${id}`, delayMs: 600 - index * 50 })),
    )
    const batch = await untilEnded(api, await startBatch(api, rows))
    expect(batch).toMatchObject({ status: 'completed', request_counts: { total: 12, completed: 9, failed: 3 } })

    const output = await linesOfFile(api, batch.output_file_id)
    expect(output.map(line => line.custom_id)).toEqual(ids.filter((_, index) => index % 4 !== 3))
    for (const line of output) {
      expect(line).toEqual({
        id: `batch_req_${line.response.request_id}`,
        custom_id: line.custom_id,
        response: {
          status_code: 200,
          request_id: expect.stringMatching(UUID),
          body: {
            id: `chatcmpl-${line.response.request_id}`,
            object: 'chat.completion',
            created: expect.any(Number),
            model: 'test/plain',
            choices: [expect.objectContaining({ index: 0, finish_reason: 'stop' })],
            usage: { prompt_tokens: 2, completion_tokens: 2, total_tokens: 4 },
            ipop: {
              request_id: line.response.request_id,
              latency_ms: expect.any(Number),
              cost_usd: 0.000003,
              cache_hit: false,
              fallback_used: false,
              fallback_count: 0,
            },
          },
        },
        error: null,
      })
      expect(line.response.body.choices[0].message).toMatchObject({
        role: 'assistant',
        content: `reply ${line.custom_id}`,
      })
    }

    const errors = await linesOfFile(api, batch.error_file_id)
    expect(errors).toEqual(
      ['row-3', 'row-7', 'row-11'].map(custom_id => ({
        id: expect.stringMatching(/^batch_req_/),
        custom_id,
        response: null,
        error: {
          code: 'model_not_found',
          message: expect.stringContaining('test/unknown'),
          param: expect.stringContaining('model'),
          line: Number(custom_id.slice(4)) + 1,
        },
      })),
    )
    const requestIds = [...output, ...errors].map(line => line.id)
    expect(new Set(requestIds).size).toBe(12)

    for (const [fileId, purpose] of [
      [batch.output_file_id, 'batch_output'],
      [batch.error_file_id, 'batch_error'],
    ]) {
      const file = await api.get(`/files/${fileId}`)
      expect(file.body).toMatchObject({ purpose, filename: expect.stringContaining(batch.id), status: 'processed' })
    }
  })

  test('an output file alone where no row failed, and metadata as it was given', async () => {
    const { api, projectId } = await newTenant(db, { inProject: true })
    const metadata = { name: 'Grüße', nested: { list: [1, null, 'x'] }, empty: {} }
    const id = await startBatch(api, [chatRow('a', 'hello there')], { metadata })
    const batch = await untilEnded(api, id)
    expect(batch).toMatchObject({ metadata, project_id: projectId, error_file_id: null, status: 'completed' })
    expect((await api.get('/batches')).body.data).toMatchObject([{ id, metadata }])
    const [line] = await linesOfFile(api, batch.output_file_id)
    expect(line.response.body.choices[0].message.content).toBe('echo: hello there')
  })

  test("a row's body reaches the upstream but for what is ours", async () => {
    const { api, userId } = await newTenant(db)
    const content = fakePrompt({ id: `body-${userId}` })
    const body = { temperature: 0.5, max_tokens: 7, top_k: 40, seed: 3, metadata: { session_id: 's' } }
    await untilEnded(api, await startBatch(api, [chatRow('a', content, body)]))
    const [call] = await fakeCalls(testStack().upstreamUrl, `body-${userId}`)
    expect(call?.body).toEqual({
      model: 'test/plain',
      messages: [{ role: 'user', content }],
      temperature: 0.5,
      max_tokens: 7,
      max_completion_tokens: 7,
      top_k: 40,
      seed: 3,
    })
  })
})

describe('forms of rows and endpoints', () => {
  const older = (text: string, more: object = {}) => ({
    model: 'test/plain',
    messages: [{ role: 'user', content: text }],
    ...more,
  })
  const embedding = (custom_id: string, url = '/v1/embeddings') => ({
    custom_id,
    method: 'POST',
    url,
    body: { model: 'test/embed', input: ['one two', 'three'], dimensions: 4 },
  })

  test.each<[string, string | undefined, string, object[]]>([
    ['the default endpoint', undefined, 'chat_completions', [chatRow('a', 'x')]],
    ['the endpoint by name', 'chat_completions', 'chat_completions', [chatRow('a', 'x')]],
    ["the endpoint in OpenAI's spelling", '/v1/chat/completions', 'chat_completions', [chatRow('a', 'x')]],
    ['rows in the older form', undefined, 'chat_completions', [older('x'), older('y', { custom_id: 'b' })]],
    ['both forms in one file', undefined, 'chat_completions', [older('x'), chatRow('b', 'y')]],
    ['embeddings by name', 'embeddings', 'embeddings', [embedding('a'), embedding('b', '/embeddings')]],
    ["embeddings in OpenAI's spelling", '/v1/embeddings', 'embeddings', [embedding('a')]],
    ['embeddings in the older form', 'embeddings', 'embeddings', [{ model: 'test/embed', input: 'one two three' }]],
  ])('%s', async (_, endpoint, shown, rows) => {
    const { api } = await newTenant(db)
    const batch = await untilEnded(api, await startBatch(api, rows, endpoint === undefined ? {} : { endpoint }))
    expect(batch).toMatchObject({
      status: 'completed',
      endpoint: shown,
      request_counts: { total: rows.length, completed: rows.length, failed: 0 },
    })
    const lines = await linesOfFile(api, batch.output_file_id)
    const idOf = (row: object) => (row as { custom_id?: string }).custom_id ?? null
    expect(lines.map(line => line.custom_id)).toEqual(rows.map(idOf))
    expect(lines.map(line => line.response.body.object)).toEqual(
      rows.map(() => (shown === 'embeddings' ? 'list' : 'chat.completion')),
    )
  })

  test('an embedding row gives its vectors and is charged for its input', async () => {
    const { api } = await newTenant(db)
    const rows = Array.from({ length: 3 }, (_, index) => embedding(`e${index}`))
    const batch = await untilEnded(api, await startBatch(api, rows, { endpoint: 'embeddings' }))
    const lines = await linesOfFile(api, batch.output_file_id)
    expect(lines[0].response.body).toMatchObject({ model: 'test/embed', usage: { prompt_tokens: 3, total_tokens: 3 } })
    expect(lines[0].response.body.data).toEqual(
      [7, 5].map((length, index) => ({
        object: 'embedding',
        index,
        embedding: Array.from({ length: 4 }, (_, i) => Math.fround(Math.sin(length + i))),
      })),
    )
    // 3 tokens at 10 nano-USD, three times.
    expect(batch.usage).toEqual({ input_tokens: 9, output_tokens: 0, cost_usd: 0.00000009 })
  })
})
