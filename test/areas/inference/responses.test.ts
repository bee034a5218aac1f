import { describe, expect, test } from '@jest/globals'
import { sweepResponses } from '../../../domain/inference/responses/abandoned.ts'
import { booksOf } from '../../support/books.ts'
import { upstreamCallsOf } from '../../support/chats.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { fakePrompt, waitForAbort, waitForCalls, type FakeScript } from '../../support/fake-upstream.ts'
import { testStack } from '../../support/stack.ts'
import { newTenant, type Tenant } from '../../support/tenants.ts'
import { parsedEvents, type TurnEvent } from '../../support/turns.ts'
import { until } from '../../support/until.ts'

const db = testDatabase()
const { upstreamUrl } = testStack()
const RESPONSES = '/responses'

const promptOf = ({ keyId }: Tenant, script: FakeScript = {}) => fakePrompt({ id: keyId, ...script })
const bodyOf = (tenant: Tenant, script: FakeScript, body: object) => ({
  model: 'test/plain',
  input: promptOf(tenant, script),
  ...body,
})
const respond = (tenant: Tenant, script: FakeScript = {}, body: object = {}) =>
  tenant.api.post(RESPONSES, bodyOf(tenant, script, body))
const sentTo = async (tenant: Tenant) => (await upstreamCallsOf(tenant)).at(-1)?.body

async function stream(tenant: Tenant, script: FakeScript = {}, body: object = {}): Promise<TurnEvent[]> {
  const reply = await tenant.api.open(RESPONSES, bodyOf(tenant, script, { stream: true, ...body }))
  if (reply.body === null) throw new Error('no body')
  const events: TurnEvent[] = []
  for await (const event of parsedEvents(reply.body)) events.push(event)
  return events
}
async function replay(tenant: Tenant, id: string, after?: number): Promise<TurnEvent[]> {
  const query = after === undefined ? '' : `&starting_after=${after}`
  const { text } = await tenant.api.get(`${RESPONSES}/${id}?stream=true${query}`)
  const events: TurnEvent[] = []
  for await (const event of parsedEvents(new Response(text).body as ReadableStream<Uint8Array>)) events.push(event)
  return events
}
const user = (content: unknown) => ({ role: 'user', content })

describe('a response', () => {
  test('is the closed object, recorded and billed', async () => {
    const tenant = await newTenant(db)
    const { status, body } = await respond(
      tenant,
      { reply: 'hello' },
      { instructions: 'Be brief.', metadata: { a: 'b' } },
    )
    expect(status).toBe(200)
    expect(body).toEqual({
      id: expect.stringMatching(/^resp_[0-9a-f]{32}$/),
      object: 'response',
      created_at: expect.any(Number),
      status: 'completed',
      background: false,
      model: 'test/plain',
      instructions: 'Be brief.',
      output: [
        {
          id: expect.stringMatching(/^msg_/),
          type: 'message',
          role: 'assistant',
          status: 'completed',
          content: [{ type: 'output_text', text: 'hello', annotations: [] }],
        },
      ],
      output_text: 'hello',
      usage: expect.objectContaining({ output_tokens: 1, output_tokens_details: { reasoning_tokens: 0 } }),
      metadata: { a: 'b' },
      service_tier: 'standard',
      store: true,
    })
    expect((await sentTo(tenant))?.messages?.[0]).toEqual({ role: 'system', content: 'Be brief.' })
    expect((await booksOf(db, tenant)).calls).toMatchObject([{ surface: 'responses', status: 'completed' }])
  })

  test('takes what stateless clients send back, and ignores what it does not know', async () => {
    const tenant = await newTenant(db)
    const input = [
      { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'rules' }] },
      user([
        { type: 'input_text', text: 'look' },
        { type: 'input_image', image_url: 'data:image/png;base64,AA', detail: 'low' },
      ]),
      { type: 'reasoning', summary: [], encrypted_content: 'x' },
      { type: 'function_call', call_id: 'c1', name: 'f', arguments: '{}' },
      { type: 'function_call', call_id: 'c2', name: 'g', arguments: '{}' },
      { type: 'function_call_output', call_id: 'c1', output: 'one' },
      { type: 'function_call_output', call_id: 'c2', output: [{ type: 'input_text', text: 'two' }] },
      { type: 'message', role: 'assistant', content: [{ type: 'output_text', text: 'hm', annotations: [] }] },
      user(promptOf(tenant)),
    ]
    const body = {
      input,
      service_tier: 'auto',
      client_metadata: {},
      prompt_cache_key: 'k',
      include: ['reasoning.encrypted_content'],
    }
    expect((await respond(tenant, {}, body)).body).toMatchObject({ status: 'completed', service_tier: 'standard' })
    expect((await sentTo(tenant))?.messages?.slice(0, -1)).toEqual([
      { role: 'system', content: 'rules' },
      {
        role: 'user',
        content: [
          { type: 'text', text: 'look' },
          { type: 'image_url', image_url: { url: 'data:image/png;base64,AA', detail: 'low' } },
        ],
      },
      {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } },
          { id: 'c2', type: 'function', function: { name: 'g', arguments: '{}' } },
        ],
      },
      { role: 'tool', tool_call_id: 'c1', content: 'one' },
      { role: 'tool', tool_call_id: 'c2', content: 'two' },
      { role: 'assistant', content: 'hm' },
    ])
  })

  test.each<[string, object, object]>([
    ['max_output_tokens', { max_output_tokens: 9 }, { max_completion_tokens: 9 }],
    ['reasoning', { reasoning: { effort: 'high', summary: 'auto' } }, { reasoning_effort: 'high' }],
    [
      'text.format',
      { text: { format: { type: 'json_schema', name: 'n', schema: { type: 'object' }, strict: true } } },
      {
        response_format: { type: 'json_schema', json_schema: { name: 'n', schema: { type: 'object' }, strict: true } },
      },
    ],
    [
      'tools',
      {
        tools: [{ type: 'function', name: 'f', parameters: { type: 'object' }, strict: null }],
        tool_choice: { type: 'function', name: 'f' },
        parallel_tool_calls: false,
      },
      {
        tools: [{ type: 'function', function: { name: 'f', parameters: { type: 'object' } } }],
        tool_choice: { type: 'function', function: { name: 'f' } },
        parallel_tool_calls: false,
      },
    ],
    ['temperature and top_p', { temperature: 0.5, top_p: 0.9 }, { temperature: 0.5, top_p: 0.9 }],
  ])('passes %s on', async (_what, body, sent) => {
    const tenant = await newTenant(db)
    expect((await respond(tenant, {}, body)).status).toBe(200)
    expect(await sentTo(tenant)).toMatchObject(sent)
  })

  test.each([
    ['length', 'max_output_tokens'],
    ['content_filter', 'content_filter'],
  ])('that ended by %s is incomplete', async (finishReason, reason) => {
    const tenant = await newTenant(db)
    expect((await respond(tenant, { finishReason })).body).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason },
    })
    const events = await stream(tenant, { finishReason })
    expect(events.at(-1)).toMatchObject({
      type: 'response.incomplete',
      data: { response: { status: 'incomplete', incomplete_details: { reason } } },
    })
  })

  test('shows no reasoning', async () => {
    const { body } = await respond(await newTenant(db), {
      reply: 'hi',
      extraMessage: { reasoning_content: 'secret thought' },
    })
    expect(JSON.stringify(body)).not.toContain('secret thought')
  })

  test('with store: false leaves nothing but its call', async () => {
    const tenant = await newTenant(db)
    const { body } = await respond(tenant, {}, { store: false })
    const events = await stream(tenant, {}, { store: false })
    for (const id of [body.id, events[0]?.data.response.id])
      expectError(await tenant.api.get(`${RESPONSES}/${id}`), 404)
    expect((await booksOf(db, tenant)).calls).toHaveLength(2)
  })
})

describe('a chain', () => {
  test('is rebuilt whole, without earlier instructions', async () => {
    const tenant = await newTenant(db)
    const first = await respond(tenant, { reply: 'one' }, { instructions: 'first rules' })
    const second = await stream(tenant, { reply: 'two' }, { previous_response_id: first.body.id })
    const third = await respond(
      tenant,
      { reply: 'three' },
      {
        previous_response_id: second.at(-1)?.data.response.id,
        instructions: 'last rules',
      },
    )
    expect(third.body.previous_response_id).toBe(second.at(-1)?.data.response.id)
    const sent = (await sentTo(tenant))?.messages ?? []
    expect(sent.map(message => message.role)).toEqual(['system', 'user', 'assistant', 'user', 'assistant', 'user'])
    expect(sent[0]?.content).toBe('last rules')
    expect([sent[2]?.content, sent[4]?.content]).toEqual(['one', 'two'])
  })

  test('with truncation auto is cut to the window, disabled is a 400', async () => {
    const tenant = await newTenant(db)
    const model = 'test/small-window'
    const long = 'word '.repeat(60)
    const input = [user(long), { role: 'assistant', content: long }, user(promptOf(tenant, {}))]
    expect((await respond(tenant, {}, { model, input, truncation: 'auto' })).status).toBe(200)
    expect((await sentTo(tenant))?.messages).toHaveLength(1)
    expectError(await respond(tenant, {}, { model, input: long.repeat(3) }), 400, {
      code: 'context_length_exceeded',
      param: 'input',
    })
  })

  test('after a deleted or foreign response is refused', async () => {
    const [tenant, other] = [await newTenant(db), await newTenant(db)]
    const first = (await respond(tenant)).body.id
    const second = (await respond(tenant, {}, { previous_response_id: first })).body.id
    expectError(await respond(other, {}, { previous_response_id: second }), 404, { param: 'previous_response_id' })
    expectError(await respond(tenant, {}, { previous_response_id: 'resp_x' }), 404, { param: 'previous_response_id' })
    await tenant.api.delete(`${RESPONSES}/${first}`)
    expectError(await respond(tenant, {}, { previous_response_id: second }), 409, { param: 'previous_response_id' })
  })
})

describe('a stream', () => {
  test('of text and tool calls is in order, and can be replayed from every event', async () => {
    const tenant = await newTenant(db)
    const toolCalls = [
      { id: 'c1', name: 'f', arguments: '{"a":1}' },
      { id: 'c2', name: 'g', arguments: '{}' },
    ]
    const tools = toolCalls.map(({ name }) => ({ type: 'function', name, parameters: { type: 'object' } }))
    const events = await stream(tenant, { reply: 'I look', toolCalls }, { tools })
    expect(events.map(event => event.data.sequence_number)).toEqual(events.map((_, index) => index))
    expect(events.map(event => event.type)).toEqual(events.map(event => event.data.type))
    const final = events.at(-1)?.data.response
    expect(final.output.map((item: { type: string }) => item.type)).toEqual([
      'message',
      'function_call',
      'function_call',
    ])
    expect(final.output[1]).toMatchObject({ call_id: 'c1', name: 'f', arguments: '{"a":1}' })
    expect(events[0]?.data.response.usage).toMatchObject({ input_tokens: 0, output_tokens: 0, total_tokens: 0 })
    for (let after = -1; after < events.length; after += 1) {
      expect(await replay(tenant, final.id, after)).toEqual(events.slice(after + 1))
    }
    const { body } = await tenant.api.get(`${RESPONSES}/${final.id}`)
    expect(body).toEqual(final)
  })

  test('of a response that was not streamed is made from what is stored', async () => {
    const tenant = await newTenant(db)
    const { body } = await respond(tenant, { reply: 'whole' })
    const events = await replay(tenant, body.id)
    expect(events.map(event => event.type)).toEqual([
      'response.created',
      'response.in_progress',
      'response.output_item.added',
      'response.content_part.added',
      'response.output_text.delta',
      'response.output_text.done',
      'response.content_part.done',
      'response.output_item.done',
      'response.completed',
    ])
    expect(events.at(-1)?.data.response).toEqual(body)
  })

  test('that breaks off ends with response.failed, which is stored', async () => {
    const tenant = await newTenant(db)
    const events = await stream(tenant, { reply: 'one two three', dieAfterChunks: 2 })
    const last = events.at(-1)
    // A cut connection may take its last bytes along.
    const came = events.map(event => event.data.delta ?? '').join('')
    expect(came).toMatch(/^one( two)?$/)
    expect(last).toMatchObject({
      type: 'response.failed',
      data: { response: { status: 'failed', error: { code: 'service_unavailable' }, output_text: came } },
    })
    expect((await tenant.api.get(`${RESPONSES}/${last?.data.response.id}`)).body.status).toBe('failed')
    expect(await replay(tenant, last?.data.response.id)).toEqual(events)
  })

  test('whose client leaves is aborted and billed, and says so', async () => {
    const tenant = await newTenant(db)
    const client = new AbortController()
    const reply = await tenant.api.open(
      RESPONSES,
      bodyOf(tenant, { reply: 'one two three', hangAfterChunks: 3 }, { stream: true }),
      client.signal,
    )
    let id = ''
    for await (const event of parsedEvents(reply.body as ReadableStream<Uint8Array>)) {
      id = event.data.response?.id ?? id
      if (event.data.delta?.includes('three')) break
    }
    client.abort()
    await waitForAbort(upstreamUrl, tenant.keyId)
    const stored = await until(async () => {
      const { body } = await tenant.api.get(`${RESPONSES}/${id}`)
      return body.status !== 'in_progress' && body
    })
    expect(stored).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason: 'client_closed' },
      output_text: 'one two three',
    })
    expect((await booksOf(db, tenant)).calls).toMatchObject([{ status: 'canceled', tokens_out: 3 }])
  })

  test('whose process dies is ended as failed', async () => {
    const tenant = await newTenant(db)
    const client = new AbortController()
    const reply = await tenant.api.open(
      RESPONSES,
      bodyOf(tenant, { hangAfterChunks: 1, reply: 'a b' }, { stream: true }),
      client.signal,
    )
    // Not a loop: leaving it would leave the stream.
    const { value: first } = await parsedEvents(reply.body as ReadableStream<Uint8Array>).next()
    const id = (first as TurnEvent).data.response.id as string
    await waitForCalls(upstreamUrl, tenant.keyId, 1)
    await db.query(`UPDATE responses SET touched_at = now() - interval '10 minutes' WHERE id = $1`, [id])
    await sweepResponses(db)
    expect((await tenant.api.get(`${RESPONSES}/${id}`)).body).toMatchObject({
      status: 'failed',
      error: { code: 'service_unavailable' },
    })
    expect((await replay(tenant, id)).at(-1)?.type).toBe('response.failed')
    client.abort()
  })
})

describe('input items', () => {
  test('are paged both ways', async () => {
    const tenant = await newTenant(db)
    const input = [...['a', 'b', 'c', 'd'].map(user), user(promptOf(tenant))]
    const { body } = await respond(tenant, {}, { input })
    const page = async (query: string) => (await tenant.api.get(`${RESPONSES}/${body.id}/input_items?${query}`)).body
    const textsOf = (list: any) => list.data.map((item: any) => item.content[0].text)
    const first = await page('limit=2')
    expect([textsOf(first), first.has_more]).toEqual([['a', 'b'], true])
    const second = await page(`limit=2&after=${first.last_id}`)
    expect([textsOf(second), second.has_more]).toEqual([['c', 'd'], true])
    expect(textsOf(await page(`limit=2&order=desc&after=${second.last_id}`))).toEqual(['c', 'b'])
    expect(textsOf(await page(`limit=1&before=${second.first_id}`))).toEqual(['b'])
    expect(
      textsOf(await page('order=desc&limit=100'))
        .toReversed()
        .slice(0, 2),
    ).toEqual(['a', 'b'])
    expectError(await tenant.api.get(`${RESPONSES}/${body.id}/input_items?after=nothing`), 400, { param: 'after' })
    expectError(await tenant.api.get(`${RESPONSES}/${body.id}/input_items?limit=0`), 400, { param: 'limit' })
  })
})

describe('what is refused', () => {
  test.each([
    'web_search_preview',
    'web_search',
    'namespace',
    'file_search',
    'code_interpreter',
    'mcp',
    'custom',
    'local_shell',
  ])('the tool %s, by its name', async type => {
    const tenant = await newTenant(db)
    const tools = [{ type: 'function', name: 'f', parameters: {} }, { type }]
    const { message } = expectError(await respond(tenant, {}, { tools }), 400, {
      type: 'unsupported_tool',
      param: 'tools.1.type',
    })
    expect(message).toContain(type)
  })

  test.each<[object, string]>([
    [{ input: undefined }, 'input'],
    [{ input: [] }, 'input'],
    [{ input: [{ role: 'evil', content: 'x' }] }, 'input.0.role'],
    [{ input: [{ type: 'item_reference', id: 'x' }] }, 'input.0.type'],
    [{ input: [user([{ type: 'input_file', file_id: 'x' }])] }, 'input.0.content.0.type'],
    [{ input: [user([{ type: 'input_image', image_url: 'ftp://x' }])] }, 'input.0.content.0.image_url'],
    [{ input: [user([{ type: 'input_text' }])] }, 'input.0.content.0.text'],
    [{ input: [{ type: 'function_call_output', output: 'x' }] }, 'input.0.call_id'],
    [{ conversation: 'conv_1' }, 'conversation'],
    [{ reasoning: { effort: 'enormous' } }, 'reasoning.effort'],
    [{ include: ['everything'] }, 'include.0'],
    [{ tool_choice: { type: 'file_search' } }, 'tool_choice'],
    [{ tools: [{ type: 'function', name: 'a b' }] }, 'tools.0.name'],
    [{ text: { format: { type: 'json_schema', name: 'n' } } }, 'text.format'],
    [{ max_output_tokens: 0 }, 'max_output_tokens'],
    [{ input: 'a\0b' }, 'input'],
  ])('%j', async (body, param) => {
    const tenant = await newTenant(db)
    expectError(await respond(tenant, {}, body), 400, { param })
    expect(await upstreamCallsOf(tenant)).toEqual([])
  })

  test("another tenant's response, everywhere", async () => {
    const [tenant, other] = [await newTenant(db), await newTenant(db)]
    const { id } = (await respond(tenant)).body
    for (const reply of [
      await other.api.get(`${RESPONSES}/${id}`),
      await other.api.get(`${RESPONSES}/${id}?stream=true`),
      await other.api.get(`${RESPONSES}/${id}/input_items`),
      await other.api.post(`${RESPONSES}/${id}/cancel`),
      await other.api.delete(`${RESPONSES}/${id}`),
    ]) {
      expectError(reply, 404, { type: 'not_found', param: 'response_id' })
    }
    expect((await tenant.api.get(`${RESPONSES}/${id}`)).status).toBe(200)
    expectError(await tenant.api.post(`${RESPONSES}/${id}/cancel`), 400, { param: 'response_id' })
  })
})

test('a reader who asks beyond the end of a running response is sent nothing, and ends with it', async () => {
  const tenant = await newTenant(db)
  const live = await tenant.api.open(
    RESPONSES,
    bodyOf(tenant, { chunks: ['one', ' two', ' three'], chunkDelayMs: 150 }, { stream: true }),
  )
  const events: TurnEvent[] = []
  let beyond: Promise<TurnEvent[]> | undefined
  for await (const event of parsedEvents(live.body as ReadableStream<Uint8Array>)) {
    events.push(event)
    beyond ??= replay(tenant, event.data.response.id as string, 1_000)
  }
  expect(events.at(-1)?.type).toBe('response.completed')
  expect(await beyond).toEqual([])
})

test.each(['2147483649', '99999999999999999999', '-2', '1e3', 'x'])('starting_after=%s is a 400', async after => {
  const tenant = await newTenant(db)
  const { body } = await respond(tenant, { reply: 'x' })
  const reply = await tenant.api.get(`${RESPONSES}/${body.id}?stream=true&starting_after=${after}`)
  expectError(reply, 400, { param: 'starting_after' })
})
