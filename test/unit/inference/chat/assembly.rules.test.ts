import { expect, test } from '@jest/globals'
import { createAssembly } from '../../../../domain/inference/chat/assembly.rules.ts'

test('the pieces of a reply are put together: texts and lists appended, tool calls merged', () => {
  const assembly = createAssembly()
  const deltas = [
    { role: 'assistant', content: '' },
    { reasoning: 'I ', reasoning_details: [{ type: 'reasoning.text', text: 'I ', index: 0 }] },
    { reasoning: 'think', reasoning_details: [{ type: 'reasoning.text', text: 'think', index: 0 }] },
    { reasoning_details: [{ type: 'reasoning.text', signature: 's', index: 0 }] },
    { content: 'Hello' },
    { tool_calls: [{ index: 0, id: 'c', type: 'function', function: { name: 'f', arguments: '{"a"' } }] },
    { tool_calls: [{ index: 0, function: { arguments: ':1}' } }] },
  ]
  for (const delta of deltas) assembly.add({ choices: [{ index: 0, delta, finish_reason: null }] })
  assembly.add({ choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] })
  expect(assembly.choices()).toEqual([
    {
      index: 0,
      finish_reason: 'tool_calls',
      message: {
        role: 'assistant',
        content: 'Hello',
        reasoning: 'I think',
        reasoning_details: [
          { type: 'reasoning.text', text: 'I ', index: 0 },
          { type: 'reasoning.text', text: 'think', index: 0 },
          { type: 'reasoning.text', signature: 's', index: 0 },
        ],
        tool_calls: [{ id: 'c', type: 'function', function: { name: 'f', arguments: '{"a":1}' } }],
      },
    },
  ])
})
