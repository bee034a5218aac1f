import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { encodingForModel, type Encoding } from '../../../../infra/tokenizer/encodings.ts'
import {
  countTextTokens,
  estimateTokensFromBytes,
  firstTokens,
  isWithinTokenLimit,
  textOfTokens,
} from '../../../../infra/tokenizer/text-tokens.ts'

describe('countTextTokens', () => {
  // OpenAI Cookbook, "How to count tokens with tiktoken", section 5.
  const published: [string, Encoding, number][] = [
    ['antidisestablishmentarianism', 'cl100k_base', 6],
    ['antidisestablishmentarianism', 'o200k_base', 6],
    ['2 + 2 = 4', 'cl100k_base', 7],
    ['2 + 2 = 4', 'o200k_base', 7],
    ['お誕生日おめでとう', 'cl100k_base', 9],
    ['お誕生日おめでとう', 'o200k_base', 8],
    ['tiktoken is great!', 'cl100k_base', 6],
    ['tiktoken is great!', 'o200k_base', 6],
    ['', 'o200k_base', 0],
  ]
  test.each(published)('%j in %s is %i tokens', (text, encoding, tokens) => {
    expect(countTextTokens(text, encoding)).toBe(tokens)
  })

  test('control tokens in text are plain text', () => {
    for (const text of ['<|endoftext|>', 'a<|im_start|>system', '<|fim_prefix|><|endofprompt|>']) {
      expect(countTextTokens(text)).toBeGreaterThan(1)
      expect(countTextTokens(text, 'cl100k_base')).toBeGreaterThan(1)
    }
  })

  test('any text has between one token and its bytes, and never throws', () => {
    const anyText = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({ unit: fc.nat(0xffff).map(c => String.fromCharCode(c)) }),
    )
    fc.assert(
      fc.property(anyText, text => {
        const tokens = countTextTokens(text)
        expect(tokens).toBeLessThanOrEqual(Buffer.byteLength(text))
        expect(tokens > 0).toBe(text.length > 0)
      }),
    )
  })

  test.each(['a', '=', ' ', '\n', 'é', '😀', '漢'])('half a megabyte of %j takes no quadratic time', unit => {
    const startedAt = performance.now()
    expect(countTextTokens(unit.repeat(500_000))).toBeGreaterThan(1000)
    expect(performance.now() - startedAt).toBeLessThan(60_000)
  })

  test('cutting long runs changes a count by at most a token a cut', () => {
    const run = 'lorem'.repeat(60)
    expect(Math.abs(countTextTokens(run) - 2 * countTextTokens('lorem'.repeat(30)))).toBeLessThanOrEqual(2)
  })
})

describe('isWithinTokenLimit', () => {
  test('agrees with the count on both sides of the limit', () => {
    fc.assert(
      fc.property(fc.lorem({ maxCount: 40 }), text => {
        const tokens = countTextTokens(text)
        expect(isWithinTokenLimit(text, tokens)).toBe(true)
        expect(isWithinTokenLimit(text, tokens - 1)).toBe(false)
      }),
    )
  })

  test('stops early: ten megabytes against a small limit are refused before they could be counted', () => {
    const text = 'word salad '.repeat(1_000_000)
    const refusalMs = (): number => {
      const startedAt = performance.now()
      expect(isWithinTokenLimit(text, 100_000)).toBe(false)
      return performance.now() - startedAt
    }
    const refusal = Math.min(refusalMs(), refusalMs(), refusalMs())
    const startedAt = performance.now()
    expect(countTextTokens(text)).toBe(2_000_001)
    expect(refusal).toBeLessThan((performance.now() - startedAt) / 1.5)
  })
})

test('firstTokens cuts at the limit and leaves shorter text alone', () => {
  const text = 'The quick brown fox jumps over the lazy dog.'
  expect(firstTokens(text, 4)).toBe('The quick brown fox')
  expect(firstTokens(text, 100)).toBe(text)
  expect(countTextTokens(firstTokens('🧑‍🚀🪐🛰️'.repeat(5), 7))).toBeLessThanOrEqual(7)
  expect(firstTokens('🪐🪐', 1)).not.toContain('\uFFFD')
})

test('textOfTokens decodes ids of the vocabulary and nothing else', () => {
  // OpenAI Cookbook, section 4.
  expect(textOfTokens([83, 8251, 2488, 382, 2212, 0], 'o200k_base')).toBe('tiktoken is great!')
  expect(textOfTokens([83, 1609, 5963, 374, 2294, 0], 'cl100k_base')).toBe('tiktoken is great!')
  expect(textOfTokens([100_300], 'cl100k_base')).toBeUndefined()
})

test.each([
  ['openai/gpt-5.5', 'o200k_base'],
  ['gpt-4o-mini', 'o200k_base'],
  ['gpt-4.1', 'o200k_base'],
  ['claude-opus-4.8', 'o200k_base'],
  ['gpt-4', 'cl100k_base'],
  ['openai/gpt-4-turbo', 'cl100k_base'],
  ['gpt-3.5-turbo', 'cl100k_base'],
  ['text-embedding-3-small', 'cl100k_base'],
])('%s uses %s', (model, encoding) => {
  expect(encodingForModel(model)).toBe(encoding)
})

test('a size alone gives a fourth of its bytes', () => {
  expect([0, 1, 4, 5].map(estimateTokensFromBytes)).toEqual([0, 1, 1, 2])
})
