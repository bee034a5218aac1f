import { describe, expect, test } from '@jest/globals'
import { ChatCompletionResponse } from '../../../domain/chat/chat.schema.ts'
import { chunkView, chunkWriter, createChunkReader } from '../../../domain/chat/chunks.ts'
import { closingChunk, completionView, textOfChoices } from '../../../domain/chat/reply.rules.ts'
import { requireValid } from '../../../domain/validation.rules.ts'

const head = { id: 'chatcmpl-1', created: 5, model: 'public/id' }
const usage = { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 }
const ipop = { request_id: '1', latency_ms: 1, cost_usd: 0, cache_hit: false }

describe('a completion', () => {
  const upstream = {
    id: 'gen-secret',
    provider: 'Somebody',
    model: 'vendor/model',
    created: 1,
    system_fingerprint: 'fp',
    usage: { prompt_tokens: 99, cost: 0.1 },
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: 'hi' },
        finish_reason: 'stop',
        native_finish_reason: 'STOP',
        logprobs: null,
      },
    ],
  }

  test('is closed, under the public id, with our figures', () => {
    const reply = completionView(head, upstream, usage, ipop)
    expect(reply).toEqual({
      ...head,
      object: 'chat.completion',
      choices: [{ index: 0, message: { role: 'assistant', content: 'hi' }, finish_reason: 'stop', logprobs: null }],
      usage,
      ipop,
    })
    expect(() => requireValid(ChatCompletionResponse, reply)).not.toThrow()
  })

  test.each<[string, unknown, object[]]>([
    ['no choices', undefined, []],
    ['choices that are a text', 'x', []],
    ['choices that are none', [null, 'x', 1], []],
    ['a choice without anything', [{}], [{ index: 0, message: {}, finish_reason: null }]],
    [
      'several choices',
      [{ index: 1, message: { content: 'b' } }, { index: 0 }],
      [
        { index: 1, message: { content: 'b' }, finish_reason: null },
        { index: 0, message: {}, finish_reason: null },
      ],
    ],
  ])('of an upstream that gave %s', (_what, choices, expected) => {
    expect(completionView(head, { choices }, usage, ipop).choices).toEqual(expected)
  })
})

describe('a chunk', () => {
  test('is closed', () => {
    const upstream = {
      id: 'x',
      provider: 'Somebody',
      choices: [{ index: 0, delta: { content: 'h' }, finish_reason: null, native: 1 }],
    }
    const chunk = createChunkReader()(JSON.stringify(upstream))
    const closed = {
      ...head,
      object: 'chat.completion.chunk',
      choices: [{ index: 0, delta: { content: 'h' }, finish_reason: null }],
    }
    expect(chunkView(head, chunk)).toEqual(closed)
    expect(JSON.parse(chunkWriter(head)(chunk))).toEqual(closed)
  })

  test('closing a stream has usage and no choices', () => {
    expect(closingChunk(head, usage, ipop)).toEqual({
      ...head,
      object: 'chat.completion.chunk',
      choices: [],
      usage,
      ipop,
    })
  })
})

describe('the text that is counted', () => {
  const call = (name: unknown, args: unknown) => ({ function: { name, arguments: args } })
  test.each<[string, unknown, string]>([
    ['of content', { content: 'hi' }, 'hi'],
    ['of content that is null', { content: null }, ''],
    ['of reasoning', { content: 'a', reasoning: 'because' }, 'abecause'],
    ['of reasoning by its other name', { reasoning_content: 'because' }, 'because'],
    ['of both names once', { reasoning: 'because', reasoning_content: 'because' }, 'because'],
    ['of a refusal', { refusal: 'no' }, 'no'],
    ['of tool calls', { tool_calls: [call('f', '{"a":1}'), call('g', '')] }, 'f{"a":1}g'],
    ['of a fragment of a tool call', { tool_calls: [{ index: 0, function: { arguments: ':1}' } }] }, ':1}'],
    ['of tool calls that are none', { tool_calls: [null, 1, {}, { function: null }] }, ''],
    ['of tool calls that are a text', { tool_calls: 'x' }, ''],
    ['of a message that is null', null, ''],
    ['of content that is a list', { content: [{ text: 'x' }] }, ''],
  ])('%s', (_what, message, text) => {
    expect(textOfChoices({ choices: [{ message }] }, 'message')).toBe(text)
    expect(textOfChoices({ choices: [{ delta: message }] }, 'delta')).toBe(text)
  })

  test('is of all choices', () => {
    expect(textOfChoices({ choices: [{ delta: { content: 'a' } }, null, { delta: { content: 'b' } }] }, 'delta')).toBe(
      'ab',
    )
    expect(textOfChoices({ choices: 'x' }, 'delta')).toBe('')
    expect(textOfChoices({}, 'delta')).toBe('')
  })
})
