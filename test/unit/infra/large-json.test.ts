import { expect, test } from '@jest/globals'
import { isLarge, LARGE_CHARACTERS } from '../../../infra/large-json.ts'

const nest = (levels: number): unknown => (levels === 0 ? 1 : [nest(levels - 1)])

test.each<[string, unknown, boolean]>([
  ['nothing', undefined, false],
  ['null', null, false],
  ['a chat', { messages: [{ role: 'user', content: 'hello' }] }, false],
  ['a text of just the limit', 'x'.repeat(LARGE_CHARACTERS), false],
  ['a longer one', 'x'.repeat(LARGE_CHARACTERS + 1), true],
  [
    'texts that are too long together',
    { a: ['x'.repeat(LARGE_CHARACTERS / 2), 'x'.repeat(LARGE_CHARACTERS / 2)] },
    true,
  ],
  ['numbers', Array.from({ length: LARGE_CHARACTERS / 8 }, () => 0.1), true],
  ['half as many', Array.from({ length: LARGE_CHARACTERS / 16 }, () => 0.1), false],
  ['long names', { ['x'.repeat(LARGE_CHARACTERS + 1)]: 1 }, true],
  ['deep nests', nest(1_000), true],
  ['nests as deep as a request may have', nest(199), false],
  ['packed numbers', { embedding: new Float64Array(2) }, true],
])('%s: %#', (_what, value, large) => {
  expect(isLarge(value)).toBe(large)
})
