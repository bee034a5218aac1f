import { describe, expect, test } from '@jest/globals'
import OpenAI from 'openai'
import type { ResponseStreamEvent } from 'openai/resources/responses/responses'
import { testDatabase } from '../../support/database.ts'
import { fakePrompt, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const { apiUrl } = testStack()
const model = 'test/plain'

async function newClient() {
  const tenant = await newTenant(db)
  const client = new OpenAI({ apiKey: tenant.secret, baseURL: `${apiUrl}/v1`, maxRetries: 0 })
  const promptOf = (script: FakeScript) => fakePrompt({ id: tenant.keyId, ...script })
  return { tenant, client, promptOf }
}
const readFile = {
  type: 'function' as const,
  name: 'read_file',
  strict: true,
  parameters: { type: 'object', properties: { path: { type: 'string' } } },
}

describe('the official client', () => {
  test('creates, retrieves, lists the input of, and deletes a response', async () => {
    const { client, promptOf } = await newClient()
    const made = await client.responses.create({ model, input: promptOf({ reply: 'hello' }), metadata: { mine: 'x' } })
    expect(made.output_text).toBe('hello')
    expect(made).toMatchObject({ object: 'response', status: 'completed', metadata: { mine: 'x' } })
    expect(made.usage?.output_tokens).toBe(1)
    expect(await client.responses.retrieve(made.id)).toMatchObject({ id: made.id, output: made.output })
    const items = await client.responses.inputItems.list(made.id)
    expect(items.data).toMatchObject([{ type: 'message', role: 'user' }])
    await client.responses.delete(made.id)
    await expect(client.responses.retrieve(made.id)).rejects.toMatchObject({ status: 404 })
  })

  test('streams, and its helper assembles the same response', async () => {
    const { client, promptOf } = await newClient()
    const stream = client.responses.stream({ model, input: promptOf({ reply: 'one two three' }) })
    const events: ResponseStreamEvent[] = []
    for await (const event of stream) events.push(event)
    expect(events.map(event => event.type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    expect(events.map(event => event.sequence_number)).toEqual(events.map((_, index) => index))
    const final = await stream.finalResponse()
    expect(final.output_text).toBe('one two three')
    const stored = await client.responses.retrieve(final.id)
    expect(stored.output).toMatchObject([{ type: 'message', content: [{ text: 'one two three', annotations: [] }] }])
    const replayed: ResponseStreamEvent[] = []
    for await (const event of await client.responses.retrieve(final.id, { stream: true, starting_after: 3 })) {
      replayed.push(event)
    }
    expect(replayed.map(({ type, sequence_number }) => [type, sequence_number])).toEqual(
      events.slice(4).map(({ type, sequence_number }) => [type, sequence_number]),
    )
  })

  test('calls a tool and continues with its result', async () => {
    const { client, promptOf } = await newClient()
    const toolCalls = [{ id: 'call_1', name: 'read_file', arguments: '{"path":"a"}' }]
    const first = await client.responses.create({ model, input: promptOf({ toolCalls }), tools: [readFile] })
    expect(first.output).toMatchObject([
      { type: 'function_call', call_id: 'call_1', name: 'read_file', arguments: '{"path":"a"}' },
    ])
    const second = await client.responses.create({
      model,
      previous_response_id: first.id,
      input: [{ type: 'function_call_output', call_id: 'call_1', output: 'the file' }],
      tools: [readFile],
    })
    expect(second.status).toBe('completed')
  })

  test('counts input tokens', async () => {
    const { client } = await newClient()
    const { input_tokens } = await client.responses.inputTokens.count({ model, input: 'one two three four' })
    expect(input_tokens).toBeGreaterThan(3)
    expect(input_tokens).toBeLessThan(20)
  })
})
