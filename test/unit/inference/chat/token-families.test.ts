import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { countableOf, mostTokensOf } from '../../../../domain/inference/chat/token-families.rules.ts'
import { countTextTokens } from '../../../../infra/tokenizer/text-tokens.ts'

/** cl100k_base stands for the tokenizers that are not public: it has not been looked at to count. */
const unknown = {}
const mostOf = (text: string) => {
  const countable = countableOf(text, unknown)
  return mostTokensOf(countable, countTextTokens(countable.text), unknown)
}
const ofAnother = (text: string) => countTextTokens(text, 'cl100k_base')

/** Each has many times as many tokens in cl100k_base as in o200k_base, or could have in others. */
const WORST: [string, string][] = [
  ['Georgian', 'ყველა ადამიანი იბადება თავისუფალი და თანასწორი თავისი ღირსებითა და უფლებებით.'],
  ['Armenian', 'Բոլոր մարդիկ ծնվում են ազատ ու հավասար իրենց արժանապատվությամբ ու իրավունքներով։'],
  ['Kannada', 'ಎಲ್ಲಾ ಮಾನವರೂ ಸ್ವತಂತ್ರರಾಗಿಯೇ ಜನಿಸಿದ್ದಾರೆ.'],
  ['Hindi', 'सभी मनुष्यों को गौरव और अधिकारों के मामले में जन्मजात स्वतन्त्रता और समानता प्राप्त है।'],
  ['emoji', '👩‍👩‍👧‍👦🏳️‍🌈😀'],
]

describe('the most that a model with a tokenizer of its own makes of a text', () => {
  test.each(WORST)('is not less than another one makes of %s', (_what, text) => {
    expect(ofAnother(text)).toBeGreaterThan(0)
    expect(mostOf(text)).toBeGreaterThanOrEqual(ofAnother(text))
    expect(mostOf(`${text} and words: ${text}`)).toBeGreaterThanOrEqual(ofAnother(`${text} and words: ${text}`))
  })

  test('is not less than another one makes of any text', () => {
    const text = fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.string(), fc.constantFrom(...WORST.flat())))
    fc.assert(
      fc.property(text, parts => expect(mostOf(parts.join(''))).toBeGreaterThanOrEqual(ofAnother(parts.join('')))),
    )
  })

  test.each<[string, string, number]>([
    ['a digit as a token', '1234567890'.repeat(30), 300],
    ['each sign of a run', `a${' '.repeat(500)}b`, 500],
    ['each byte of another script', '字'.repeat(100), 300],
    ['words that it may have to divide', '.translatesAutoresizingMaskIntoConstraints'.repeat(20), 280],
  ])('has %s', (_what, text, least) => {
    expect(mostOf(text)).toBeGreaterThanOrEqual(least)
  })

  test('is well below its bytes for prose', () => {
    const text = 'The quick brown fox jumps over the lazy dog. '.repeat(20)
    expect(mostOf(text)).toBeLessThan(text.length * 0.75)
  })
})

test('a model whose tokenizer is public has what was counted', () => {
  const model = { tokenizer: 'o200k_base' } as const
  const countable = countableOf('字    字', model)
  expect(countable).toEqual({ text: '字    字', bytesBesides: 0 })
  expect(mostTokensOf(countable, 5, model)).toBe(5)
})
