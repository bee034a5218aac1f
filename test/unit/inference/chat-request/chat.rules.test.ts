import { describe, expect, test } from '@jest/globals'
import {
  contextTooLong,
  requireChatRequest,
  wantsUsageChunk,
} from '../../../../domain/inference/chat-request/chat.rules.ts'
import type { ChatCompletionRequest } from '../../../../domain/inference/chat-request/chat.schema.ts'
import { launchModel, refusalOf, thrownBy } from '../../fixtures.ts'

const seeing = launchModel('openai/gpt-5-nano')
const blind = launchModel('codestral-2508')
const plain = launchModel('ling-2.6-flash')
const embedding = launchModel('terminaili/embed-balanced')

const chat = (fields: object = {}) =>
  ({ model: 'm', messages: [{ role: 'user', content: 'hi' }], ...fields }) as ChatCompletionRequest
const saying = (...messages: object[]) => chat({ messages })
const parts = (...content: object[]) => saying({ role: 'user', content })
const image = (url: unknown) => ({ type: 'image_url', image_url: { url } })
const tool = (name: unknown) => ({ type: 'function', function: { name, parameters: {} } })
const format = (json_schema: unknown) => chat({ response_format: { type: 'json_schema', json_schema } })

describe('takes', () => {
  test.each<[string, ChatCompletionRequest]>([
    ['a text', chat()],
    ['text parts', parts({ type: 'text', text: 'x' })],
    ['an empty text', saying({ role: 'user', content: '' })],
    ['an image by its address', parts(image('https://x.test/a.png'))],
    ['an image with its bytes', parts(image('data:image/png;base64,AA'))],
    ['parts of kinds that are not known', parts({ type: 'input_audio', input_audio: {} })],
    ['an assistant that called a tool', saying({ role: 'assistant', tool_calls: [] })],
    ['the reply of a tool', saying({ role: 'tool', tool_call_id: 'c', content: 'x' })],
    ['a tool', chat({ tools: [tool('look_up-1')] })],
    ['a tool with the longest name', chat({ tools: [tool('x'.repeat(64))] })],
    ['a format that is null', chat({ response_format: null })],
    ['a text format', chat({ response_format: { type: 'text' } })],
    ['a JSON object', chat({ response_format: { type: 'json_object' } })],
    ['a JSON schema', format({ name: 'reply', schema: { type: 'object' } })],
    ['options of a stream', chat({ stream_options: { include_usage: true } })],
    ['no options of a stream', chat({ stream_options: null })],
    ['eight choices', chat({ n: 8 })],
    ['choices that are null', chat({ n: null })],
  ])('%s', (_what, request) => {
    expect(() => requireChatRequest(request, seeing)).not.toThrow()
  })

  test('text of a model that can do nothing else', () => {
    expect(() => requireChatRequest(chat({ response_format: { type: 'text' } }), plain)).not.toThrow()
  })
})

describe('refuses with a 400 that names the field', () => {
  test.each<[string, ChatCompletionRequest, string]>([
    ['no content', saying({ role: 'user' }), 'messages.0.content'],
    [
      'content that is null',
      chat({
        messages: [
          { role: 'user', content: 'x' },
          { role: 'system', content: null },
        ],
      }),
      'messages.1.content',
    ],
    ['a text part without text', parts({ type: 'text', text: 'x' }, { type: 'text' }), 'messages.0.content.1.text'],
    ['the reply of a tool to no call', saying({ role: 'tool', content: 'x' }), 'messages.0.tool_call_id'],
    ['an image without an address', parts({ type: 'image_url' }), 'messages.0.content.0.image_url.url'],
    [
      'an image whose address is a text beside',
      parts({ type: 'image_url', image_url: 'https://x' }),
      'messages.0.content.0.image_url.url',
    ],
    ['an image in a file', parts(image('file:///etc/passwd')), 'messages.0.content.0.image_url.url'],
    ['an image that is a page', parts(image('data:text/html,x')), 'messages.0.content.0.image_url.url'],
    ['a tool without a function', chat({ tools: [{ type: 'function' }] }), 'tools.0.function.name'],
    ['a tool with an empty name', chat({ tools: [tool('')] }), 'tools.0.function.name'],
    ['a tool with a name of two words', chat({ tools: [tool('a'), tool('a b')] }), 'tools.1.function.name'],
    ['a tool with too long a name', chat({ tools: [tool('x'.repeat(65))] }), 'tools.0.function.name'],
    ['a format that is a text', chat({ response_format: 'json' }), 'response_format.type'],
    ['a format of no type', chat({ response_format: {} }), 'response_format.type'],
    ['a format of another type', chat({ response_format: { type: 'xml' } }), 'response_format.type'],
    ['no schema at all', format(undefined), 'response_format.json_schema.name'],
    ['a schema that is a list', format([]), 'response_format.json_schema.name'],
    ['a schema without a name', format({ schema: {} }), 'response_format.json_schema.name'],
    ['a schema with a wrong name', format({ name: 'a b', schema: {} }), 'response_format.json_schema.name'],
    ['a name without a schema', format({ name: 'a' }), 'response_format.json_schema.schema'],
    ['a schema that is a text', format({ name: 'a', schema: 'x' }), 'response_format.json_schema.schema'],
    ['options that are a text', chat({ stream_options: 'x' }), 'stream_options'],
    ['options of a wrong type', chat({ stream_options: { include_usage: 'yes' } }), 'stream_options'],
    ['no choice', chat({ n: 0 }), 'n'],
    ['nine choices', chat({ n: 9 }), 'n'],
    ['half a choice', chat({ n: 1.5 }), 'n'],
    ['choices as a text', chat({ n: '1' }), 'n'],
  ])('%s', (_what, request, param) => {
    const refusal = refusalOf(thrownBy(() => requireChatRequest(request, seeing)))
    expect(refusal).toEqual({ status: 400, code: 'bad_request', type: 'invalid_request', param })
  })

  test.each<[string, ChatCompletionRequest, typeof seeing, string, string]>([
    ['an image', parts(image('https://x')), blind, 'model_does_not_support_vision', 'messages.0.content.0'],
    ['tools', chat({ tools: [tool('a')] }), plain, 'model_does_not_support_tools', 'tools.0'],
    ['a schema', format({ name: 'a', schema: {} }), plain, 'model_does_not_support_json_schema', 'response_format'],
    ['a chat', chat(), embedding, 'model_does_not_support_chat', 'model'],
    ['file_search', chat({ tools: [{ type: 'file_search' }] }), seeing, 'unsupported_tool', 'tools.0'],
    ['another kind of tool', chat({ tools: [{ type: 'retrieval' }] }), seeing, 'unsupported_tool', 'tools.0.type'],
  ])('%s where the model cannot', (_what, request, model, type, param) => {
    expect(refusalOf(thrownBy(() => requireChatRequest(request, model)))).toMatchObject({ status: 400, type, param })
  })

  test('file_search by its name', () => {
    const error = thrownBy(() => requireChatRequest(chat({ tools: [{ type: 'file_search' }] }), seeing))
    expect(error.message).toContain('`file_search`')
  })

  test('a malformed schema as such, also of a model that knows no schema', () => {
    expect(thrownBy(() => requireChatRequest(format({ name: 'a' }), plain)).param).toBe(
      'response_format.json_schema.schema',
    )
  })
})

test.each([
  [{}, false],
  [{ stream_options: null }, false],
  [{ stream_options: {} }, false],
  [{ stream_options: { include_usage: false } }, false],
  [{ stream_options: { include_usage: true } }, true],
])('with %j a usage chunk is wanted: %s', (fields, wanted) => {
  expect(wantsUsageChunk(chat(fields))).toBe(wanted)
})

test('too long an input is told with its figures', () => {
  const error = contextTooLong(seeing)
  expect(refusalOf(error)).toEqual({
    status: 400,
    code: 'context_length_exceeded',
    type: 'context_length_exceeded',
    param: 'messages',
  })
  expect(error.message).toMatch(/more than the 272000 tokens/)
})
