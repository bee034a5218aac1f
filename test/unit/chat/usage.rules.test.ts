import { expect, test } from '@jest/globals'
import { parseEmbeddingsUsage, parseUsage, usageView } from '../../../domain/chat/usage.rules.ts'
import { Usage } from '../../../domain/chat/chat.schema.ts'
import { requireValid } from '../../../domain/validation.rules.ts'

const whole = { prompt_tokens: 10, completion_tokens: 5 }

test.each<[string, unknown, object | undefined]>([
  ['whole', whole, { input: 10, output: 5 }],
  [
    'with details',
    { ...whole, prompt_tokens_details: { cached_tokens: 4 }, completion_tokens_details: { reasoning_tokens: 3 } },
    { input: 10, output: 5, cached: 4, reasoning: 3 },
  ],
  [
    'with details that are null',
    { ...whole, prompt_tokens_details: null, completion_tokens_details: null },
    { input: 10, output: 5 },
  ],
  ['with unusable details', { ...whole, prompt_tokens_details: { cached_tokens: -1 } }, { input: 10, output: 5 }],
  ['of nothing', { prompt_tokens: 0, completion_tokens: 0 }, { input: 0, output: 0 }],
  ['without output', { prompt_tokens: 8, total_tokens: 8 }, undefined],
  ['without input', { completion_tokens: 5 }, undefined],
  ['missing', undefined, undefined],
  ['null', null, undefined],
  ['a text', '10', undefined],
  ['negative', { prompt_tokens: -1, completion_tokens: 5 }, undefined],
  ['a fraction', { prompt_tokens: 1.5, completion_tokens: 5 }, undefined],
  ['a figure as a text', { prompt_tokens: '10', completion_tokens: 5 }, undefined],
  ['more than the database holds', { prompt_tokens: 2 ** 31, completion_tokens: 5 }, undefined],
])('usage that is %s', (_what, value, expected) => {
  const usage = parseUsage(value)
  expect(usage && JSON.parse(JSON.stringify(usage))).toEqual(expected)
})

test.each([
  [
    { input: 10, output: 5 },
    { prompt_tokens: 10, completion_tokens: 5, total_tokens: 15 },
  ],
  [
    { input: 10, output: 5, cached: 0, reasoning: 2 },
    {
      prompt_tokens: 10,
      completion_tokens: 5,
      total_tokens: 15,
      prompt_tokens_details: { cached_tokens: 0 },
      completion_tokens_details: { reasoning_tokens: 2 },
    },
  ],
])('%j is shown as %j', (usage, view) => {
  expect(usageView(usage)).toEqual(view)
  expect(() => requireValid(Usage, usageView(usage))).not.toThrow()
})

test.each([
  ['with input', { prompt_tokens: 8, total_tokens: 8 }, { input: 8, output: 0 }],
  ['without input', { total_tokens: 8 }, undefined],
])('usage of embeddings %s', (_what, value, expected) => {
  expect(parseEmbeddingsUsage(value)).toEqual(expected)
})
