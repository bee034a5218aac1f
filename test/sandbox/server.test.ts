import { afterAll, beforeAll, describe, expect, test } from '@jest/globals'
import { once } from 'node:events'
import { request as httpRequest, type ClientRequest, type IncomingMessage } from 'node:http'
import { HANGS_AFTER_MS } from '../support/until.ts'
import { startTestSandbox, type TestSandbox } from './sandbox.ts'

let sandbox: TestSandbox
beforeAll(async () => {
  sandbox = await startTestSandbox()
})
afterAll(() => sandbox.close())

const user = { role: 'user', content: 'Hello' }
const tool = { type: 'function', function: { name: 'f', parameters: {} } }
const format = (json_schema: unknown) => ({ response_format: { type: 'json_schema', json_schema } })

describe('bad input is a 400 in the shape of OpenAI that names the field', () => {
  test.each<[string, object, string]>([
    ['no model', { messages: [user] }, 'model'],
    ['no messages', { model: 'm' }, 'messages'],
    ['empty messages', { model: 'm', messages: [] }, 'messages'],
    ['a wrong role', { model: 'm', messages: [{ role: 'boss', content: 'x' }] }, 'messages.0.role'],
    ['a limit of 0', { model: 'm', messages: [user], max_tokens: 0 }, 'max_tokens'],
    ['stream as text', { model: 'm', messages: [user], stream: 'yes' }, 'stream'],
    [
      'no schema',
      { model: 'm', messages: [user], response_format: { type: 'json_schema' } },
      'response_format.json_schema',
    ],
    [
      'a tool that is not there',
      { model: 'm', messages: [user], tools: [tool], tool_choice: { type: 'function', function: { name: 'g' } } },
      'tool_choice',
    ],
    ['tools demanded, none given', { model: 'm', messages: [user], tool_choice: 'required' }, 'tool_choice'],
    [
      'a schema nothing fits',
      {
        model: 'm',
        messages: [user],
        ...format({ name: 's', schema: { type: 'object', required: ['a'], properties: { a: false } } }),
      },
      'response_format.json_schema.schema',
    ],
    [
      'a dangling reference',
      { model: 'm', messages: [user], ...format({ name: 's', schema: { $ref: '#/$defs/none' } }) },
      'response_format.json_schema.schema',
    ],
    [
      'an endless schema',
      {
        model: 'm',
        messages: [user],
        ...format({ name: 's', schema: { type: 'object', properties: { a: { $ref: '#' } }, required: ['a'] } }),
      },
      'response_format.json_schema.schema',
    ],
    [
      'a huge schema',
      { model: 'm', messages: [user], ...format({ name: 's', schema: { type: 'array', minItems: 1e9 } }) },
      'response_format.json_schema.schema',
    ],
    [
      'a bad pattern',
      { model: 'm', messages: [user], ...format({ name: 's', schema: { type: 'string', pattern: '(' } }) },
      'response_format.json_schema.schema',
    ],
  ])('%s', async (_, body, param) => {
    const response = await sandbox.post('/chat/completions', body)
    expect(response.status).toBe(400)
    expect(response.headers.get('x-ipop-sandbox')).toBe('true')
    const { error } = (await response.json()) as { error: Record<string, unknown> }
    expect(error).toMatchObject({ type: 'invalid_request_error', param })
    expect(error.message).toEqual(expect.any(String))
  })

  test('broken JSON', async () => {
    expect((await sandbox.post('/chat/completions', '{"model":')).status).toBe(400)
  })
})

test('an unknown path is a 404', async () => {
  const response = await fetch(`${sandbox.url}/completions`)
  expect(response.status).toBe(404)
  expect(await response.json()).toMatchObject({ error: { code: 'unknown_url' } })
})

test('models are listed', async () => {
  const page = await sandbox.client.models.list()
  expect(page.data.map(model => model.id)).toContain('sandbox')
})

/** A request that the server has taken: it has answered `100 Continue` before the body leaves. */
async function takenRequest(url: string, body: object): Promise<ClientRequest> {
  const request = httpRequest(`${url}/chat/completions`, { method: 'POST', headers: { expect: '100-continue' } })
  request.flushHeaders()
  await once(request, 'continue')
  request.end(JSON.stringify(body))
  return request
}

async function replyTo(request: ClientRequest): Promise<string> {
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  const chunks = await response.setEncoding('utf8').toArray()
  return chunks.join('')
}

describe('closing', () => {
  test('finishes running streams and plain replies at once', async () => {
    const slow = await startTestSandbox({ wordDelayMs: 600_000, replyDelayMs: 600_000 })
    const body = { model: 'm', messages: [user] }
    const replies = await Promise.all([takenRequest(slow.url, { ...body, stream: true }), takenRequest(slow.url, body)])
    const startedAt = performance.now()
    const [streamed, plain] = await Promise.all([...replies.map(replyTo), slow.close()])
    expect(streamed?.endsWith('data: [DONE]\n\n')).toBe(true)
    expect(JSON.parse(plain ?? '')).toMatchObject({ object: 'chat.completion' })
    expect(performance.now() - startedAt).toBeLessThan(HANGS_AFTER_MS)
  })

  test('does not wait for a client that has gone', async () => {
    const slow = await startTestSandbox({ wordDelayMs: 600_000 })
    const request = httpRequest(`${slow.url}/chat/completions`, { method: 'POST' })
    request.end(JSON.stringify({ model: 'm', messages: [user], stream: true }))
    const [response] = (await once(request, 'response')) as [NodeJS.ReadableStream]
    await once(response, 'data')
    request.destroy()
    const startedAt = performance.now()
    await slow.close()
    await slow.close()
    expect(performance.now() - startedAt).toBeLessThan(HANGS_AFTER_MS)
  })
})
