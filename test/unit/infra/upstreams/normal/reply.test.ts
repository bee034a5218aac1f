import { describe, expect, test } from '@jest/globals'
import { normalReply, textOfReply } from '../../../../../infra/upstreams/normal/reply.ts'
import { UpstreamFailure } from '../../../../../infra/upstreams/upstream.ts'

describe('a reply of which nothing came is a failure', () => {
  test.each<[string, unknown]>([
    ['no choices', undefined],
    ['an empty list of choices', []],
    ['choices that are a text', 'x'],
    ['choices that are none', [null, 'x', 1]],
    ['a choice without anything', [{}]],
    ['a message without anything', [{ message: { role: 'assistant', content: '' } }]],
    ['an end in an error', [{ message: { content: 'a' }, finish_reason: 'error' }]],
  ])('%s', (_what, choices) => {
    expect(() => normalReply({ choices })).toThrow(UpstreamFailure)
  })
})

test('choices keep their numbers, and those without one are counted', () => {
  const choices = [{ index: 1, message: { content: 'b' }, finish_reason: 'length' }, { message: { content: 'c' } }]
  expect(normalReply({ id: 'x', choices })).toEqual({
    id: 'x',
    choices: [
      { index: 1, message: { role: 'assistant', content: 'b' }, finish_reason: 'length' },
      { index: 1, message: { role: 'assistant', content: 'c' }, finish_reason: 'stop' },
    ],
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
    expect(textOfReply({ choices: [{ message }] })).toBe(text)
  })

  test('is of all choices', () => {
    expect(textOfReply({ choices: [{ message: { content: 'a' } }, null, { message: { content: 'b' } }] })).toBe('ab')
    expect(textOfReply({ choices: 'x' })).toBe('')
    expect(textOfReply({})).toBe('')
  })
})
