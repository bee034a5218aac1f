import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import {
  nanosOfPicos,
  parseUsd,
  picosPerToken,
  usdNumber,
  usdText,
} from '../../../../domain/money/ledger/money.rules.ts'

test.each<[bigint, string, number]>([
  [0n, '0.00', 0],
  [1n, '0.000000001', 0.000000001],
  [1_000n, '0.000001', 0.000001],
  [12_000n, '0.000012', 0.000012],
  [10_000_000n, '0.01', 0.01],
  [100_000_000n, '0.10', 0.1],
  [123_456_789n, '0.123456789', 0.123456789],
  [1_500_000_000n, '1.50', 1.5],
  [1_505_000_000n, '1.505', 1.505],
  [999_999_999_999_999n, '999999.999999999', 999999.999999999],
  [-1n, '-0.000000001', -0.000000001],
  [-2_500_000_000n, '-2.50', -2.5],
])('%s nano-USD print as %s and as the JSON number %s', (nanos, text, number) => {
  expect(usdText(nanos)).toBe(text)
  expect(usdNumber(nanos)).toBe(number)
})

describe('parseUsd', () => {
  test.each<[string, bigint | undefined]>([
    ['12.5', 12_500_000_000n],
    ['12', 12_000_000_000n],
    [' 3 ', 3_000_000_000n],
    ['0.000000001', 1n],
    ['-1.25', -1_250_000_000n],
    ['-0', 0n],
    ['999999999.999999999', 999_999_999_999_999_999n],
    ['1234567890', undefined],
    ['0.0000000001', undefined],
    ['1.', undefined],
    ['.5', undefined],
    ['1e3', undefined],
    ['+1', undefined],
    ['1,5', undefined],
    ['--1', undefined],
    ['', undefined],
    ['NaN', undefined],
  ])('%j is %s', (text, nanos) => {
    expect(parseUsd(text)).toBe(nanos)
  })

  test('reads back whatever usdText prints', () => {
    const below1e9Usd = 10n ** 18n - 1n
    fc.assert(fc.property(fc.bigInt(-below1e9Usd, below1e9Usd), nanos => parseUsd(usdText(nanos)) === nanos))
  })
})

test('usdNumber prints as the exact decimal below 1,000,000 USD', () => {
  fc.assert(
    fc.property(fc.bigInt(0n, 10n ** 15n - 1n), nanos => {
      expect(BigInt(Math.round(Number(JSON.stringify(usdNumber(nanos))) * 1e9))).toBe(nanos)
      expect(usdNumber(nanos)).toBe(Number(usdText(nanos)))
    }),
  )
})

test.each<[number, bigint]>([
  [0, 0n],
  [0.000001, 1n],
  [0.005, 5_000n],
  [0.044, 44_000n],
  [1.15, 1_150_000n],
  [4.35, 4_350_000n],
  [75, 75_000_000n],
])('%s USD per million tokens are %s pico-USD a token', (rate, picos) => {
  expect(picosPerToken(rate)).toBe(picos)
})

test.each<[bigint, bigint]>([
  [0n, 0n],
  [499n, 0n],
  [500n, 1n],
  [1_499n, 1n],
  [1_500n, 2n],
  [2_500n, 3n],
])('%s pico-USD round half up to %s nano-USD', (picos, nanos) => {
  expect(nanosOfPicos(picos)).toBe(nanos)
})
