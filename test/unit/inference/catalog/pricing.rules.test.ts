import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { TokenUsage } from '../../../../domain/inference/tokens/token-usage.rules.ts'
import {
  mostPriceOfCall,
  priceOfCall,
  rateAtTier,
  ratesOf,
  type CacheLife,
  type Rates,
} from '../../../../domain/inference/catalog/pricing.rules.ts'

const sonnet: Rates = { input: 3, cached_input: 0.3, output: 15, cache_write: 3.75 }
const nano: Rates = { input: 0.05, cached_input: 0.005, output: 0.4, cache_write: 0.05 }
const free: Rates = { input: 0, cached_input: 0, output: 0, cache_write: 0 }

test.each<[string, Rates, TokenUsage, bigint, bigint]>([
  ['nothing', sonnet, { input: 0, output: 0 }, 0n, 0n],
  ['a million of input', sonnet, { input: 1_000_000, output: 0 }, 3_000_000_000n, 1_500_000_000n],
  ['a million of output', sonnet, { input: 0, output: 1_000_000 }, 15_000_000_000n, 7_500_000_000n],
  ['cached input at its own rate', sonnet, { input: 100, output: 10, cached: 40 }, 342_000n, 171_000n],
  ['all of the input cached', sonnet, { input: 100, output: 0, cached: 100 }, 30_000n, 15_000n],
  ['more cached than input', sonnet, { input: 100, output: 0, cached: 1_000 }, 30_000n, 15_000n],
  ['reasoning as part of the output', sonnet, { input: 0, output: 10, reasoning: 9 }, 150_000n, 75_000n],
  ['one cached token: 5 nanos', nano, { input: 1, output: 0, cached: 1 }, 5n, 3n],
  [
    'cache writes at their own rate',
    sonnet,
    { input: 100, output: 0, cached: 20, cacheWrites: 30 },
    268_500n,
    134_250n,
  ],
  ['more written than there is input', sonnet, { input: 10, output: 0, cached: 4, cacheWrites: 99 }, 23_700n, 11_850n],
  ['half a nano rounds up', { ...free, input: 0.0005 }, { input: 1, output: 0 }, 1n, 0n],
  ['less than half rounds down', { ...free, input: 0.000499 }, { input: 1, output: 0 }, 0n, 0n],
  ['the sum is rounded once', { ...free, input: 0.0004, output: 0.0004 }, { input: 1, output: 1 }, 1n, 0n],
  ['a free model', free, { input: 9_999, output: 9_999 }, 0n, 0n],
])('%s', (_what, rates, usage, standard, batch) => {
  expect(priceOfCall(rates, usage, 'standard')).toBe(standard)
  expect(priceOfCall(rates, usage, 'batch')).toBe(batch)
})

describe('for any rates and usage', () => {
  const rate = fc.integer({ min: 0, max: 100_000_000 }).map(micros => micros / 1_000_000)
  const rates: fc.Arbitrary<Rates> = fc.record({ input: rate, cached_input: rate, output: rate, cache_write: rate })
  const tokens = fc.integer({ min: 0, max: 2_000_000 })
  const usage: fc.Arbitrary<TokenUsage> = fc.record({
    input: tokens,
    output: tokens,
    cached: fc.option(fc.integer({ min: 0, max: 3_000_000 }), { nil: undefined }),
    cacheWrites: fc.option(fc.integer({ min: 0, max: 3_000_000 }), { nil: undefined }),
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
        const writtenOf = (of: TokenUsage) => Math.min(of.cacheWrites ?? 0, of.input - cachedOf(of))
        const both = {
          input: one.input + other.input,
          output: one.output + other.output,
          cached: cachedOf(one) + cachedOf(other),
          cacheWrites: writtenOf(one) + writtenOf(other),
        }
        const apart = priceOfCall(someRates, one, 'standard') + priceOfCall(someRates, other, 'standard')
        const difference = apart - priceOfCall(someRates, both, 'standard')
        expect(difference >= -1n && difference <= 1n).toBe(true)
      }),
    )
  })

  test('none of its tokens costs more than the most, whatever of them is cached', () => {
    fc.assert(
      fc.property(rates, usage, (someRates, { input, output, ...cache }) => {
        const most = mostPriceOfCall(someRates, { input, output }, 'standard')
        expect(priceOfCall(someRates, { input, output, ...cache }, 'standard')).toBeLessThanOrEqual(most)
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

const plain = { input: 4, cached_input: 0.4, output: 8 }
const forMinutes = { ...plain, cache_write: 5 }
const caching = { ...forMinutes, cache_write_1h: 8 }
test.each<[string, Parameters<typeof ratesOf>[0], CacheLife, number]>([
  ['what nobody asked for is input', caching, undefined, 4],
  ['minutes', caching, '5m', 5],
  ['an hour', caching, '1h', 8],
  ['what is always cached', { ...caching, caches_unasked: true }, undefined, 5],
  ['an hour where the catalog knows minutes alone', forMinutes, '1h', 5],
  ['where the catalog knows none', plain, '1h', 4],
])('the rate of a cache write: %s', (_what, price, heartbeat, expected) => {
  expect(ratesOf(price, heartbeat)).toEqual({ input: 4, cached_input: 0.4, output: 8, cache_write: expected })
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
