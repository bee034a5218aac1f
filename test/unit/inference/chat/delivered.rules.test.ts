import { expect, test } from '@jest/globals'
import { charactersIn, deliveredUsage } from '../../../../domain/inference/chat/delivered.rules.ts'

test.each<[string, unknown, number]>([
  ['texts of messages', [{ role: 'user', content: 'abcd' }], 8],
  ['texts of parts, but no data', [[{ type: 'text', text: 'ab' }], [{ url: 'data:image/png;base64,AAAA' }]], 6],
  ['nothing of figures', [1, true, null, undefined, { a: 2 }], 0],
  ['no more than ten thousand values', Array(20_000).fill('a'), 9_999],
])('counts %s', (_what, value, characters) => {
  expect(charactersIn(value)).toBe(characters)
})

test('nested lists take no more work than the values that are looked at', () => {
  let value: unknown = 'a'
  for (let depth = 0; depth < 4; depth += 1) value = Array(9_000).fill(value)
  const beganAtMs = performance.now()
  expect(charactersIn(value)).toBeLessThan(10_000)
  expect(performance.now() - beganAtMs).toBeLessThan(20_000)
})

test('four characters are a token, rounded down', () => {
  expect(deliveredUsage(7, 4)).toEqual({ input: 1, output: 1 })
})
