import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { JsonBudget, MOST_STRUCTURES } from '../../../domain/core/json-budget.ts'

function faultOf(text: string, partBytes = 64 * 1024): string | undefined {
  const bytes = Buffer.from(text)
  const budget = new JsonBudget()
  try {
    for (let at = 0; at < bytes.length; at += partBytes) budget.take(bytes.subarray(at, at + partBytes))
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

const fields = (count: number) => Array.from({ length: count }, (_, index) => `"k${index}":1`).join(',')

describe('a body beyond its budget', () => {
  test.each([
    ['empty arrays', `{"a":[${'[],'.repeat(MOST_STRUCTURES)}1]}`, 'objects, arrays and fields'],
    ['empty objects', `[${'{},'.repeat(MOST_STRUCTURES)}1]`, 'objects, arrays and fields'],
    ['fields of many objects', `[${`{${fields(10)}},`.repeat(5_000)}1]`, 'objects, arrays and fields'],
    ['fields of one object', `{${fields(2_001)}}`, '2000 fields in one object'],
    ['fields between inner objects', `{${`"a":{},`.repeat(2_001)}"b":1}`, '2000 fields in one object'],
    ['numbers', `[${'1,'.repeat(500_001)}1]`, '500000 values'],
    ['levels', `${'['.repeat(201)}${']'.repeat(201)}`, '200 levels'],
  ])('is refused for its %s', (_, text, limit) => {
    expect(faultOf(text)).toContain(limit)
  })

  test('is refused at the same byte however it is cut', () => {
    const text = `[${'{"a\\"":[1]},'.repeat(20_000)}1]`
    for (const partBytes of [1, 2, 3, 7]) expect(faultOf(text, partBytes)).toBe(faultOf(text))
  })
})

describe('a body within its budget', () => {
  test.each([
    ['a long text of everything', JSON.stringify({ a: '{[,:"\\'.repeat(200_000) })],
    ['escapes', `{"a":"${'\\u0022\\"\\\\'.repeat(200_000)}"}`],
    ['tokens', JSON.stringify({ input: Array.from({ length: 300_000 }, (_, index) => index) })],
    ['a long conversation', JSON.stringify({ messages: Array(10_000).fill({ role: 'user', content: 'hi' }) })],
  ])('passes: %s', (_, text) => {
    expect(faultOf(text)).toBeUndefined()
  })

  test('passes whatever it holds', () => {
    fc.assert(fc.property(fc.json(), fc.integer({ min: 1, max: 9 }), (text, cut) => faultOf(text, cut) === undefined))
  })
})
