import { describe, expect, test } from '@jest/globals'
import { Type, type TSchema } from 'typebox'
import { ChatCompletionRequest } from '../../../domain/inference/chat-request/chat.schema.ts'
import { CreateBatchRequest } from '../../../domain/work/batches/batch.schema.ts'
import { prepareValidator, requireValid } from '../../../domain/core/validation.rules.ts'
import { refusalOf, thrownBy } from '../fixtures.ts'

const user = { role: 'user', content: 'x' }
const chat = (fields: object) => ({ model: 'm', messages: [user], ...fields })

test.each<[string, TSchema, unknown]>([
  ['a chat request', ChatCompletionRequest, chat({})],
  ['fields that are not known', ChatCompletionRequest, chat({ seed: 1, foo: { bar: null } })],
  ['a model of no launch list', ChatCompletionRequest, chat({ model: 'ft:mine' })],
  [
    'an assistant message without content',
    ChatCompletionRequest,
    chat({ messages: [{ role: 'assistant', content: null }] }),
  ],
  ['parts', ChatCompletionRequest, chat({ messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }] })],
  ['efforts that the contract does not list', ChatCompletionRequest, chat({ reasoning_effort: 'minimal' })],
])('takes %s', (_what, schema, value) => {
  expect(() => requireValid(schema, value)).not.toThrow()
})

describe('refuses with a 400 that names the field', () => {
  test.each<[string, TSchema, unknown, string | undefined, RegExp]>([
    ['no model', ChatCompletionRequest, { messages: [user] }, 'model', /`model` is required/],
    ['a model that is null', ChatCompletionRequest, chat({ model: null }), 'model', /must be string/],
    ['an empty model', ChatCompletionRequest, chat({ model: '' }), 'model', /`model` must not have fewer/],
    [
      'a field that a closed schema does not know',
      Type.Object({ a: Type.Object({}, { additionalProperties: false }) }),
      { a: { b: 'secret' } },
      'a.b',
      /^`a\.b` is not known here\.$/,
    ],
    ['no messages', ChatCompletionRequest, chat({ messages: [] }), 'messages', /`messages` must not have fewer/],
    [
      'a message that is a text',
      ChatCompletionRequest,
      chat({ messages: [user, 'x'] }),
      'messages.1',
      /must be object/,
    ],
    ['no role', ChatCompletionRequest, chat({ messages: [{ content: 'x' }] }), 'messages.0.role', /is required/],
    [
      'a wrong role',
      ChatCompletionRequest,
      chat({ messages: [{ ...user, role: 'boss' }] }),
      'messages.0.role',
      /must be one of system, /,
    ],
    [
      'a wrong effort',
      ChatCompletionRequest,
      chat({ reasoning_effort: 'huge' }),
      'reasoning_effort',
      /must be one of none, minimal, low/,
    ],
    ['a limit of 0', ChatCompletionRequest, chat({ max_tokens: 0 }), 'max_tokens', />= 1/],
    [
      'a limit that is a fraction',
      ChatCompletionRequest,
      chat({ max_completion_tokens: 1.5 }),
      'max_completion_tokens',
      /must be integer/,
    ],
    ['stream as a text', ChatCompletionRequest, chat({ stream: 'true' }), 'stream', /must be boolean/],
    ['a tool that is a text', ChatCompletionRequest, chat({ tools: ['x'] }), 'tools.0', /must be object/],
    [
      'metadata of a wrong type',
      ChatCompletionRequest,
      chat({ metadata: { fast_lane: 'yes' } }),
      'metadata.fast_lane',
      /must be boolean/,
    ],
    ['a body that is a list', ChatCompletionRequest, [], undefined, /The request body must be object/],
    ['a body that is null', ChatCompletionRequest, null, undefined, /The request body must be object/],
    ['no file', CreateBatchRequest, {}, 'input_file_id', /`input_file_id` is required/],
    [
      'a name with a slash',
      Type.Object({ 'a/b~c': Type.String() }),
      { 'a/b~c': 1 },
      'a/b~c',
      /`a\/b~c` must be string/,
    ],
  ])('%s', (_what, schema, value, param, text) => {
    const error = thrownBy(() => requireValid(schema, value))
    expect(refusalOf(error)).toEqual({ status: 400, code: 'bad_request', type: 'invalid_request', param })
    expect(error.message).toMatch(text)
  })

  test('content that is neither text nor parts', () => {
    const error = thrownBy(() =>
      requireValid(ChatCompletionRequest, chat({ messages: [{ role: 'user', content: 5 }] })),
    )
    expect(refusalOf(error)).toMatchObject({ status: 400, param: 'messages.0.content' })
  })

  test('and never quotes what was given', () => {
    const secret = 'a-secret-prompt'
    for (const fields of [
      { messages: secret },
      { messages: [secret] },
      { messages: [{ role: secret }] },
      { stream: secret },
    ]) {
      expect(thrownBy(() => requireValid(ChatCompletionRequest, chat(fields))).message).not.toContain(secret)
    }
  })
})

test('what is prepared ahead is what is checked with', () => {
  const schema = Type.Object({ a: Type.Integer() })
  prepareValidator(schema)
  prepareValidator(undefined)
  expect(() => requireValid(schema, { a: 1 })).not.toThrow()
  expect(thrownBy(() => requireValid(schema, { a: '1' })).param).toBe('a')
})
