import { expect, test } from '@jest/globals'
import { Usage } from '../../../../../domain/inference/tokens/usage.schema.ts'
import { usageView } from '../../../../../domain/inference/tokens/usage.rules.ts'
import { requireValid } from '../../../../../domain/core/validation.rules.ts'
import { embeddingsUsageOf, laterUsage, usageOf } from '../../../../../infra/upstreams/normal/usage.ts'

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
  ['without output', { prompt_tokens: 8, total_tokens: 8 }, { input: 8, output: 0 }],
  ['without output and total', { prompt_tokens: 8 }, undefined],
  ['without input', { completion_tokens: 5 }, undefined],
  ['with thinking beyond the completion', { ...whole, total_tokens: 45 }, { input: 10, output: 35 }],
  ['with a total that is too small', { ...whole, total_tokens: 3 }, { input: 10, output: 5 }],
  [
    'with thinking that the completion leaves out',
    { ...whole, completion_tokens_details: { reasoning_tokens: 20 } },
    { input: 10, output: 25, reasoning: 20 },
  ],
  [
    'with cache writes',
    { ...whole, prompt_tokens_details: { cached_tokens: 4, cache_creation_input_tokens: 6 } },
    { input: 10, output: 5, cached: 4, cacheWrites: 6 },
  ],
  [
    'with more from a cache than there is input',
    { ...whole, prompt_tokens_details: { cached_tokens: 40, cache_creation_input_tokens: 6 } },
    { input: 10, output: 5, cached: 10, cacheWrites: 0 },
  ],
  ['missing', undefined, undefined],
  ['null', null, undefined],
  ['a text', '10', undefined],
  ['negative', { prompt_tokens: -1, completion_tokens: 5 }, undefined],
  ['a fraction', { prompt_tokens: 1.5, completion_tokens: 5 }, { input: 2, output: 5 }],
  ['a figure as a text', { prompt_tokens: '10', completion_tokens: 5 }, { input: 10, output: 5 }],
  ['more than any model reads', { prompt_tokens: 2 ** 31 - 1, completion_tokens: 5 }, undefined],
  ['a text of no digits', { prompt_tokens: '1e3', completion_tokens: 5 }, undefined],
])('usage that is %s', (_what, value, expected) => {
  const usage = usageOf(value)
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
  ['with a total alone', { total_tokens: 8 }, { input: 8, output: 0 }],
  ['without input', {}, undefined],
])('usage of embeddings %s', (_what, value, expected) => {
  expect(embeddingsUsageOf(value)).toEqual(expected)
})

test('later figures count, but for a zero after a real one', () => {
  const real = { input: 10, output: 5, cached: 4 }
  expect(laterUsage(undefined, real)).toEqual(real)
  expect(laterUsage(real, { input: 0, output: 0, cached: 0 })).toEqual(real)
  expect(laterUsage(real, { input: 11, output: 7, reasoning: 2 })).toEqual({
    input: 11,
    output: 7,
    cached: 4,
    reasoning: 2,
  })
})
