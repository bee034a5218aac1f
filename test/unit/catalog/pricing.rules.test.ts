import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { TokenUsage } from '../../../domain/calls/call.rules.ts'
import { priceOfCall, rateAtTier, type Rates } from '../../../domain/catalog/pricing.rules.ts'

const sonnet: Rates = { input: 3, cached_input: 0.3, output: 15 }
const nano: Rates = { input: 0.05, cached_input: 0.005, output: 0.4 }

test.each<[string, Rates, TokenUsage, bigint, bigint]>([
  ['nothing', sonnet, { input: 0, output: 0 }, 0n, 0n],
  ['a million of input', sonnet, { input: 1_000_000, output: 0 }, 3_000_000_000n, 1_500_000_000n],
  ['a million of output', sonnet, { input: 0, output: 1_000_000 }, 15_000_000_000n, 7_500_000_000n],
  ['cached input at its own rate', sonnet, { input: 100, output: 10, cached: 40 }, 342_000n, 171_000n],
  ['all of the input cached', sonnet, { input: 100, output: 0, cached: 100 }, 30_000n, 15_000n],
  ['more cached than input', sonnet, { input: 100, output: 0, cached: 1_000 }, 30_000n, 15_000n],
  ['reasoning as part of the output', sonnet, { input: 0, output: 10, reasoning: 9 }, 150_000n, 75_000n],
  ['one cached token: 5 nanos', nano, { input: 1, output: 0, cached: 1 }, 5n, 3n],
  ['half a nano rounds up', { input: 0.0005, cached_input: 0, output: 0 }, { input: 1, output: 0 }, 1n, 0n],
  ['less than half rounds down', { input: 0.000499, cached_input: 0, output: 0 }, { input: 1, output: 0 }, 0n, 0n],
  ['the sum is rounded once', { input: 0.0004, cached_input: 0, output: 0.0004 }, { input: 1, output: 1 }, 1n, 0n],
  ['a free model', { input: 0, cached_input: 0, output: 0 }, { input: 9_999, output: 9_999 }, 0n, 0n],
])('%s', (_what, rates, usage, standard, batch) => {
  expect(priceOfCall(rates, usage, 'standard')).toBe(standard)
  expect(priceOfCall(rates, usage, 'batch')).toBe(batch)
})

describe('for any rates and usage', () => {
  const rate = fc.integer({ min: 0, max: 100_000_000 }).map(micros => micros / 1_000_000)
  const rates: fc.Arbitrary<Rates> = fc.record({ input: rate, cached_input: rate, output: rate })
  const tokens = fc.integer({ min: 0, max: 2_000_000 })
  const usage: fc.Arbitrary<TokenUsage> = fc.record({
    input: tokens,
    output: tokens,
    cached: fc.option(fc.integer({ min: 0, max: 3_000_000 }), { nil: undefined }),
  })

  test('a price is never negative, and a batch costs half of it to the nano', () => {
    fc.assert(
      fc.property(rates, usage, (someRates, some) => {
        const standard = priceOfCall(someRates, some, 'standard')
        const batch = priceOfCall(someRates, some, 'batch')
        expect(standard >= 0n && batch >= 0n).toBe(true)
        expect(batch * 2n - standard >= -1n && batch * 2n - standard <= 1n).toBe(true)
      }),
    )
  })

  test('two calls cost what both tokens together cost, but for the rounding of each', () => {
    fc.assert(
      fc.property(rates, usage, usage, (someRates, one, other) => {
        const cachedOf = ({ cached, input }: TokenUsage) => Math.min(cached ?? 0, input)
        const both = {
          input: one.input + other.input,
          output: one.output + other.output,
          cached: cachedOf(one) + cachedOf(other),
        }
        const apart = priceOfCall(someRates, one, 'standard') + priceOfCall(someRates, other, 'standard')
        const difference = apart - priceOfCall(someRates, both, 'standard')
        expect(difference >= -1n && difference <= 1n).toBe(true)
      }),
    )
  })

  test('more tokens never cost less', () => {
    fc.assert(
      fc.property(rates, usage, tokens, (someRates, some, more) => {
        const larger = { ...some, output: some.output + more }
        expect(priceOfCall(someRates, larger, 'standard') >= priceOfCall(someRates, some, 'standard')).toBe(true)
      }),
    )
  })
})

test.each<[number, number]>([
  [3, 1.5],
  [0.3, 0.15],
  [0.005, 0.0025],
  [0.044, 0.022],
  [0, 0],
])('the card of a rate of %s shows %s for batches', (standard, batch) => {
  expect(rateAtTier(standard, 'standard')).toBe(standard)
  expect(rateAtTier(standard, 'batch')).toBe(batch)
})
