import { expect, test } from '@jest/globals'
import { isStorable, isTooDeep } from '../../../domain/core/text.rules.ts'

const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels))

test.each<[string, unknown, boolean]>([
  ['a text', 'ordinary', true],
  ['an empty text', '', true],
  ['a whole surrogate pair', '😀', true],
  ['numbers, booleans and null', [1, true, null], true],
  ['undefined', undefined, true],
  ['an object', { a: { b: ['c'] } }, true],
  ['control characters but NUL', '\u0001\u001f\n', true],
  ['NUL', 'a\0b', false],
  ['half of a surrogate pair', '\ud83d', false],
  ['the other half', 'x\ude00', false],
  ['NUL deep within', { a: [{ b: ['\0'] }] }, false],
  ['NUL in a name', { 'a\0': 1 }, false],
  ['half a pair in a name', { a: { '\udc00': 1 } }, false],
])('whether the database can hold %s', (_what, value, storable) => {
  expect(isStorable(value)).toBe(storable)
})

test.each<[string, unknown, boolean]>([
  ['a text', 'x', false],
  ['null', null, false],
  ['200 levels', nested(200), false],
  ['201 levels', nested(201), true],
  ['a hundred thousand levels', nested(100_000), true],
  ['levels of objects beside a flat one', { flat: 1, deep: { a: nested(199) } }, true],
])('whether %s is too deep', (_what, value, tooDeep) => {
  expect(isTooDeep(value)).toBe(tooDeep)
})
