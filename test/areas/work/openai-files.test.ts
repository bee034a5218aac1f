import { describe, expect, test } from '@jest/globals'
import OpenAI, { toFile } from 'openai'
import { chatRow } from '../../support/batches.ts'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt, waitForCalls } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { apiUrl, upstreamUrl } = testStack()
const clientOf = ({ secret }: Tenant) => new OpenAI({ apiKey: secret, baseURL: `${apiUrl}/v1`, maxRetries: 0 })
const newClient = async () => clientOf(await newTenant(db))

describe('files', () => {
  test('are created, listed, got, read and deleted', async () => {
    const client = await newClient()
    const content = '{"a": 1}\n{"a": "ü"}\n'
    const file = await client.files.create({ file: await toFile(Buffer.from(content), 'rows.jsonl'), purpose: 'batch' })
    const bytes = Buffer.byteLength(content)
    expect(file).toMatchObject({ object: 'file', status: 'processed', filename: 'rows.jsonl', purpose: 'batch', bytes })
    expect(await client.files.retrieve(file.id)).toMatchObject({ id: file.id, bytes })
    expect(await client.files.waitForProcessing(file.id)).toMatchObject({ id: file.id })
    expect(await (await client.files.content(file.id)).text()).toBe(content)
    await client.files.delete(file.id)
    await expect(client.files.retrieve(file.id)).rejects.toThrow(OpenAI.NotFoundError)
  })

  test('are listed page by page', async () => {
    const client = await newClient()
    const ids: string[] = []
    for (const name of ['a', 'b', 'c', 'd', 'e']) {
      ids.push((await client.files.create({ file: await toFile(Buffer.from(name), name), purpose: 'user_data' })).id)
    }
    const listed: string[] = []
    for await (const file of client.files.list({ limit: 2 })) listed.push(file.id)
    expect(listed.toSorted()).toEqual(ids.toSorted())
  })
})

describe('batches', () => {
  const start = async (client: OpenAI, rows: object[]) => {
    const text = rows.map(row => JSON.stringify(row)).join('\n')
    const file = await client.files.create({ file: await toFile(Buffer.from(text), 'rows.jsonl'), purpose: 'batch' })
    const endpoint = '/v1/chat/completions' as const
    return client.batches.create({ input_file_id: file.id, endpoint, completion_window: '24h', metadata: { run: '1' } })
  }
  const untilStatus = (client: OpenAI, id: string, status: string) =>
    until(async () => {
      const batch = await client.batches.retrieve(id)
      return batch.status === status && batch
    })

  test('run, are listed, and their output is read', async () => {
    const client = await newClient()
    const rows = [
      chatRow('a', fakePrompt({ reply: 'first' })),
      chatRow('b', fakePrompt({ reply: 'second' })),
      chatRow('c', 'x', { model: 'test/none' }),
    ]
    const created = await start(client, rows)
    expect(created).toMatchObject({
      object: 'batch',
      status: 'validating',
      created: Math.floor(Date.parse(String(created.created_at)) / 1000),
      input_file_id: expect.stringMatching(/^file_/),
    })
    const batch = await untilStatus(client, created.id, 'completed')
    expect(batch.request_counts).toEqual({ total: 3, completed: 2, failed: 1 })
    const listed: string[] = []
    for await (const one of client.batches.list({ limit: 1 })) listed.push(one.id)
    expect(listed).toEqual([created.id])
    const output = await (await client.files.content(batch.output_file_id ?? '')).text()
    const lines = output
      .trim()
      .split('\n')
      .map(line => JSON.parse(line))
    expect(
      lines.map(line => [line.custom_id, line.response.status_code, line.response.body.choices[0].message.content]),
    ).toEqual([
      ['a', 200, 'first'],
      ['b', 200, 'second'],
    ])
    expect((await (await client.files.content(batch.error_file_id ?? '')).text()).trim().split('\n')).toHaveLength(1)
  })

  test('are cancelled', async () => {
    const tenant = await newTenant(db)
    const client = clientOf(tenant)
    const { id } = await start(client, [chatRow('a', fakePrompt({ id: tenant.keyId, hang: true }))])
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    expect(await client.batches.cancel(id)).toMatchObject({ id, object: 'batch', status: 'cancelling' })
    const batch = await untilStatus(client, id, 'cancelled')
    expect(batch.request_counts).toEqual({ total: 1, completed: 0, failed: 1 })
  })
})
