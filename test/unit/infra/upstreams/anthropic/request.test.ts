import { describe, expect, test } from '@jest/globals'
import { messagesRequest } from '../../../../../infra/upstreams/anthropic/request.ts'
import { traitsOf } from '../../../../../infra/upstreams/anthropic/models.ts'
import { UpstreamFailure } from '../../../../../infra/upstreams/upstream.ts'
import type { Fields } from '../../../../support/fake-anthropic.ts'

const USER = { role: 'user', content: 'Hello' }
const ADAPTIVE = 'claude-opus-4-8'
const BUDGET = 'claude-sonnet-4-5'
const TOOLS = [{ type: 'function', function: { name: 'f' } }]
const CALL = { id: 'c', type: 'function', function: { name: 'f', arguments: '{}' } }
/** As it goes over the wire. */
const sent = (changes: Fields = {}): Fields =>
  JSON.parse(JSON.stringify(messagesRequest({ model: 'claude-sonnet-4-6', messages: [USER], ...changes }))) as Fields

function sentenceOf(changes: Fields): string | undefined {
  try {
    sent(changes)
  } catch (error) {
    if (error instanceof UpstreamFailure && error.kind === 'rejected') return error.sentence
    throw error
  }
  throw new Error('nothing was refused')
}

test('results of tools stand first in the message of the user, whatever came between', () => {
  const calls = ['a', 'b'].map(id => ({ ...CALL, id }))
  const result = (id: string) => ({ role: 'tool', tool_call_id: id, content: id })
  const messages = [USER, { role: 'assistant', tool_calls: calls }, USER, result('a'), USER, result('b')]
  const { content } = sent({ messages })['messages'].at(-1)
  const heads = (content as Fields[]).map(({ type, tool_use_id: id }) => id ?? type)
  expect(heads).toEqual(['a', 'b', 'text', 'text'])
})

test('a bare request has what Anthropic needs and nothing else', () => {
  expect(sent()).toEqual({
    model: 'claude-sonnet-4-6',
    max_tokens: 16_384,
    messages: [{ role: 'user', content: [{ type: 'text', text: 'Hello' }] }],
  })
})

test.each<[string, Fields, Fields]>([
  ['the newer limit first', { max_tokens: 5, max_completion_tokens: 6 }, { max_tokens: 6 }],
  ['the older limit', { max_tokens: 5 }, { max_tokens: 5 }],
  ['one stop', { stop: 'END' }, { stop_sequences: ['END'] }],
  ['stops but white space', { stop: ['A', '\n', 'B'] }, { stop_sequences: ['A', 'B'] }],
  ['the user', { user: 'u1' }, { metadata: { user_id: 'u1' } }],
  ['the newer name of the user', { user: 'u1', safety_identifier: 'u2' }, { metadata: { user_id: 'u2' } }],
  ['a temperature over 1', { temperature: 1.7 }, { temperature: 1 }],
  ['a temperature of 0', { temperature: 0 }, { temperature: 0 }],
  ['top_p', { top_p: 0.9 }, { top_p: 0.9 }],
  [
    'the hint for caching',
    { prompt_cache: { policy: 'auto', ttl: '5m' } },
    { cache_control: { type: 'ephemeral', ttl: '5m' } },
  ],
  ['one choice', { n: 1 }, {}],
])('%s', (_what, changes, told) => {
  expect(sent(changes)).toEqual({ ...sent(), ...told })
})

test('of temperature and top_p one is sent', () => {
  expect(sent({ temperature: 0.5, top_p: 0.9 })).toEqual({ ...sent(), temperature: 0.5 })
})

test('models that refuse sampling get none', () => {
  const changes = { model: ADAPTIVE, temperature: 0.2, top_p: 0.9, top_k: 4 }
  expect(sent(changes)).toEqual({ ...sent(), model: ADAPTIVE })
})

test('fields without a counterpart are left out', () => {
  expect(sent({ seed: 1, logit_bias: {}, presence_penalty: 1, logprobs: true, store: true })).toEqual(sent())
})

test('any JSON object is asked for in words', () => {
  const { system, output_config } = sent({ response_format: { type: 'json_object' } })
  expect(system[0].text).toContain('JSON object')
  expect(output_config).toBeUndefined()
  expect(sent({ response_format: { type: 'text' } })).toEqual(sent())
})

describe('the choice of a tool', () => {
  test.each<[unknown, boolean | undefined, unknown]>([
    [undefined, undefined, undefined],
    [undefined, true, undefined],
    [undefined, false, { type: 'auto', disable_parallel_tool_use: true }],
    ['auto', undefined, { type: 'auto' }],
    ['none', false, { type: 'none' }],
    ['required', undefined, { type: 'any' }],
    ['required', false, { type: 'any', disable_parallel_tool_use: true }],
    [{ type: 'function', function: { name: 'f' } }, undefined, { type: 'tool', name: 'f' }],
    [
      { type: 'function', function: { name: 'f' } },
      false,
      { type: 'tool', name: 'f', disable_parallel_tool_use: true },
    ],
  ])('%j with parallel calls %s', (choice, parallel, told) => {
    expect(sent({ tools: TOOLS, tool_choice: choice, parallel_tool_calls: parallel })['tool_choice']).toEqual(told)
  })

  test.each([[undefined], [[]]])('without tools (%j) is none', tools => {
    expect(sent({ tools, tool_choice: 'auto' })).toEqual(sent())
  })

  test('a function without parameters has an empty schema', () => {
    expect(sent({ tools: TOOLS })['tools']).toEqual([{ name: 'f', input_schema: { type: 'object' } }])
  })
})

describe('thinking', () => {
  test.each<[string, string, Fields]>([
    [ADAPTIVE, 'minimal', { thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'low' } }],
    [ADAPTIVE, 'xhigh', { thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'xhigh' } }],
    [
      'claude-sonnet-4-6',
      'xhigh',
      { thinking: { type: 'adaptive', display: 'summarized' }, output_config: { effort: 'high' } },
    ],
    [ADAPTIVE, 'none', { thinking: { type: 'disabled' } }],
    [BUDGET, 'none', { thinking: { type: 'disabled' } }],
    [BUDGET, 'low', { thinking: { type: 'enabled', budget_tokens: 2_000 } }],
    [BUDGET, 'medium', { thinking: { type: 'enabled', budget_tokens: 5_000 } }],
    [BUDGET, 'high', { thinking: { type: 'enabled', budget_tokens: 8_000 } }],
  ])('of %s with the effort %s', (model, effort, told) => {
    const bare = { model, max_tokens: 10_000 }
    expect(sent({ ...bare, reasoning_effort: effort })).toEqual({ ...sent(bare), ...told })
  })

  test('never takes the whole output, and no less than the least budget', () => {
    for (const maxTokens of [1, 1_024]) {
      expect(sent({ model: BUDGET, max_tokens: maxTokens, reasoning_effort: 'high' })['thinking']).toBeUndefined()
    }
    expect(sent({ model: BUDGET, max_tokens: 1_025, reasoning_effort: 'low' })['thinking'].budget_tokens).toBe(1_024)
  })

  test('drops the sampling that it does not go with', () => {
    const told = sent({ model: BUDGET, reasoning_effort: 'low', temperature: 0.2, top_p: 0.5, top_k: 3 })
    expect([told['temperature'], told['top_p'], told['top_k']]).toEqual([undefined, undefined, undefined])
    expect(sent({ model: BUDGET, reasoning_effort: 'low', top_p: 0.97 })['top_p']).toBe(0.97)
    expect(sent({ model: BUDGET, reasoning_effort: 'none', temperature: 0.2 })['temperature']).toBe(0.2)
  })

  test('is not asked for where a tool is forced', () => {
    const forced = { tools: TOOLS, tool_choice: 'required', reasoning_effort: 'high' }
    expect(sent({ ...forced, model: BUDGET })['thinking']).toBeUndefined()
    const told = sent({ ...forced, model: ADAPTIVE })
    expect([told['thinking'], told['output_config']]).toEqual([undefined, { effort: 'high' }])
  })

  const afterTool = (details?: unknown) => [
    USER,
    { role: 'assistant', content: null, tool_calls: [CALL], reasoning_details: details },
    { role: 'tool', tool_call_id: 'c', content: 'done' },
  ]
  test('by a budget is not asked for where the client lost that of the tool call', () => {
    const detail = { type: 'reasoning.text', text: 't', signature: 's', index: 0 }
    const ask = (messages: unknown) => sent({ model: BUDGET, tools: TOOLS, reasoning_effort: 'low', messages })
    expect(ask(afterTool())['thinking']).toBeUndefined()
    expect(ask(afterTool([detail]))['thinking']).toBeDefined()
    const adaptive = sent({ model: ADAPTIVE, tools: TOOLS, reasoning_effort: 'low', messages: afterTool() })
    expect(adaptive['thinking']).toBeDefined()
  })

  test.each<[string, unknown, unknown[]]>([
    [
      'fragments of a stream',
      [
        { type: 'reasoning.text', text: 'a', signature: '', index: 0 },
        { type: 'reasoning.text', text: 'b', index: 0 },
        { type: 'reasoning.text', signature: 's', index: 0 },
        { type: 'reasoning.encrypted', data: 'd', index: 1 },
        { type: 'reasoning.text', text: 'c', index: 2 },
        { type: 'reasoning.text', signature: 't', index: 2 },
      ],
      [
        { type: 'thinking', thinking: 'ab', signature: 's' },
        { type: 'redacted_thinking', data: 'd' },
        { type: 'thinking', thinking: 'c', signature: 't' },
      ],
    ],
    [
      'two pieces of one number',
      [
        { type: 'reasoning.text', text: 'a', signature: 's', index: 0 },
        { type: 'reasoning.text', text: 'b', signature: 't', index: 0 },
      ],
      [
        { type: 'thinking', thinking: 'a', signature: 's' },
        { type: 'thinking', thinking: 'b', signature: 't' },
      ],
    ],
    [
      'a signature without a text',
      [{ type: 'reasoning.text', signature: 's', format: null }],
      [{ type: 'thinking', thinking: '', signature: 's' }],
    ],
    ['what another model thought', [{ type: 'reasoning.encrypted', data: 'd', format: 'openai-responses-v1' }], []],
    ['a text without a signature', [{ type: 'reasoning.text', text: 'a' }], []],
    ['a summary', [{ type: 'reasoning.summary', summary: 'a' }], []],
    ['nonsense', ['a', null, 1], []],
    ['no list', 'a', []],
  ])('of an earlier turn goes back: %s', (_what, details, blocks) => {
    const [, assistant] = sent({ messages: afterTool(details) })['messages']
    expect(assistant.content.slice(0, -1)).toEqual(blocks)
  })
})

describe('messages', () => {
  test('of the system are told first, wherever they stand, and those of one speaker are one turn', () => {
    const messages = [
      { role: 'system', content: 'One' },
      USER,
      { role: 'developer', content: [{ type: 'text', text: 'Two' }] },
      { role: 'user', content: 'again' },
    ]
    const { system, messages: turns } = sent({ messages })
    expect(system).toEqual([
      { type: 'text', text: 'One' },
      { type: 'text', text: 'Two' },
    ])
    expect(turns).toEqual([
      {
        role: 'user',
        content: [
          { type: 'text', text: 'Hello' },
          { type: 'text', text: 'again' },
        ],
      },
    ])
  })

  test('that are empty are left out', () => {
    const messages = [USER, { role: 'assistant', content: ' \n' }, { role: 'user', content: '' }]
    expect(sent({ messages })).toEqual(sent())
  })

  test("of a tool hold parts, or nothing; other providers' ids become Anthropic's on both sides", () => {
    const id = 'functions.f:0'
    const messages = [
      USER,
      { role: 'assistant', tool_calls: [{ ...CALL, id, function: { name: 'f', arguments: '' } }] },
      { role: 'tool', tool_call_id: id, content: [{ type: 'text', text: 'x' }] },
      { role: 'tool', tool_call_id: id, content: '' },
    ]
    const [, assistant, user] = sent({ messages })['messages']
    expect(assistant.content).toEqual([{ type: 'tool_use', id: 'functions_2ef_3a0', name: 'f', input: {} }])
    expect(user.content).toEqual([
      { type: 'tool_result', tool_use_id: 'functions_2ef_3a0', content: [{ type: 'text', text: 'x' }] },
      { type: 'tool_result', tool_use_id: 'functions_2ef_3a0' },
    ])
  })
})

describe('is refused, naming the field', () => {
  const part = (content: object) => ({ messages: [{ role: 'user', content: [{ type: 'text', text: 'x' }, content] }] })
  const called = (call: object) => ({ messages: [USER, { role: 'assistant', tool_calls: [call] }] })
  test.each<[string, Fields, string]>([
    ['several choices', { n: 2 }, 'n'],
    ['functions', { functions: [] }, 'functions'],
    [
      'a function call',
      { messages: [{ role: 'assistant', function_call: { name: 'f' } }] },
      'messages.0.function_call',
    ],
    ['a function message', { messages: [USER, { role: 'function', content: 'x' }] }, 'messages.1.role'],
    ['a message that is none', { messages: [null] }, 'messages.0.role'],
    ['audio', part({ type: 'input_audio', input_audio: {} }), 'messages.0.content.1'],
    ['a part that is none', { messages: [{ role: 'user', content: [null] }] }, 'messages.0.content.0'],
    ['a file by id', part({ type: 'file', file: { file_id: 'f' } }), 'messages.0.content.1.file.file_data'],
    [
      'a file that is no PDF',
      part({ type: 'file', file: { file_data: 'data:text/csv;base64,YQ==' } }),
      'messages.0.content.1.file.file_data',
    ],
    [
      'an image of another type',
      part({ type: 'image_url', image_url: { url: 'data:image/tiff;base64,YQ==' } }),
      'messages.0.content.1.image_url.url',
    ],
    [
      'an image that is not base64',
      part({ type: 'image_url', image_url: { url: 'data:image/png,x' } }),
      'messages.0.content.1.image_url.url',
    ],
    [
      'an image of the system',
      { messages: [{ role: 'system', content: [{ type: 'text', text: '' }, { type: 'image_url' }] }] },
      'messages.0.content.1',
    ],
    [
      'broken arguments',
      called({ ...CALL, function: { name: 'f', arguments: '{"a":' } }),
      'messages.1.tool_calls.0.function.arguments',
    ],
    [
      'arguments that are no object',
      called({ ...CALL, function: { name: 'f', arguments: '[1]' } }),
      'messages.1.tool_calls.0.function.arguments',
    ],
    [
      'arguments that are no text',
      called({ ...CALL, function: { name: 'f', arguments: 1 } }),
      'messages.1.tool_calls.0.function.arguments',
    ],
    ['a call without an id', called({ function: { name: 'f' } }), 'messages.1.tool_calls.0.id'],
    ['a custom call', called({ id: 'c', type: 'custom', custom: {} }), 'messages.1.tool_calls.0.function'],
    ['a result without an id', { messages: [{ role: 'tool', content: 'x' }] }, 'messages.0.tool_call_id'],
    ['a custom tool', { tools: [{ type: 'custom', custom: {} }] }, 'tools.0.function'],
    ['another choice', { tools: TOOLS, tool_choice: { type: 'allowed_tools' } }, 'tool_choice'],
  ])('%s', (_what, changes, field) => {
    expect(sentenceOf(changes)).toContain(`\`${field}\``)
  })
})

test.each<[string, 'budget' | 'adaptive', boolean, boolean]>([
  ['claude-3-opus-20240229', 'budget', true, false],
  ['claude-3-7-sonnet-latest', 'budget', true, false],
  ['claude-sonnet-4-20250514', 'budget', true, false],
  ['claude-opus-4-1-20250805', 'budget', true, false],
  ['claude-haiku-4-5', 'budget', true, false],
  ['claude-sonnet-4-6', 'adaptive', true, false],
  ['claude-opus-4-6', 'adaptive', true, false],
  ['claude-opus-4-7', 'adaptive', false, true],
  ['claude-opus-4-8', 'adaptive', false, true],
  ['claude-opus-4-10', 'adaptive', false, true],
  ['claude-opus-5', 'adaptive', false, true],
  ['another', 'adaptive', false, true],
])('%s thinks by %s', (model, thinking, takesSampling, takesXhigh) => {
  expect(traitsOf(model)).toEqual({ thinking, takesSampling, takesXhigh })
})
