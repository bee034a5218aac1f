import type { CatalogEntry } from './catalog.schema.ts'
import { nanosOfPicos, nanosOfUsd, picosPerToken, type Nanos } from '../../money/ledger/money.rules.ts'
import type { TokenUsage } from '../tokens/token-usage.rules.ts'

/** USD per million tokens, as they hold for one request. */
export interface Rates {
  input: number
  cached_input: number
  output: number
  /** Of input that is written to the provider's cache. */
  cache_write: number
}

/** For how long a request asks its provider to cache what it reads; undefined where it asks for nothing. */
export type CacheLife = '5m' | '1h' | undefined

/** The catalog's rates for a request that asks for such a cache. */
export const ratesOf = (price: CatalogEntry['price'], life?: CacheLife): Rates => ({
  input: price.input,
  cached_input: price.cached_input,
  output: price.output,
  cache_write: cacheWriteRate(price, life),
})

/** What nobody asked to be cached is input, whatever the provider calls it, unless the catalog says that it caches all. */
function cacheWriteRate(price: CatalogEntry['price'], life: CacheLife): number {
  const { input, cache_write = input, cache_write_1h = cache_write, caches_unasked = false } = price
  if (life === '1h') return cache_write_1h
  return life === '5m' || caches_unasked ? cache_write : input
}

export type ServiceTier = 'standard' | 'batch'

/** What is paid of the standard price. */
const TIER_PERCENT: Record<ServiceTier, bigint> = { standard: 100n, batch: 50n }

/** The price of a call: summed in pico-USD, rounded once to nano-USD, half up. Reasoning tokens are output tokens. */
export function priceOfCall(rates: Rates, usage: TokenUsage, tier: ServiceTier): Nanos {
  const cached = Math.min(usage.cached ?? 0, usage.input)
  const written = Math.min(usage.cacheWrites ?? 0, usage.input - cached)
  const picos =
    BigInt(usage.input - cached - written) * picosPerToken(rates.input) +
    BigInt(cached) * picosPerToken(rates.cached_input) +
    BigInt(written) * picosPerToken(rates.cache_write) +
    BigInt(usage.output) * picosPerToken(rates.output)
  return nanosOfPicos((picos * TIER_PERCENT[tier]) / 100n)
}

/** The most that so many tokens can cost, whichever of them are read from a cache or written to it. */
export const mostPriceOfCall = (rates: Rates, { input, output }: TokenUsage, tier: ServiceTier): Nanos =>
  priceOfCall(
    { ...rates, input: Math.max(rates.input, rates.cached_input, rates.cache_write) },
    { input, output },
    tier,
  )

export const rateAtTier = (usdPerMillion: number, tier: ServiceTier): number =>
  Number(picosPerToken(usdPerMillion) * TIER_PERCENT[tier]) / 100_000_000

/** What a unit can cost at the most, of its usual price, where the catalog does not say: sizes differ by as much. */
const UNSTATED_MARGIN = 4

/** USD of a picture or of a second of video. */
export interface UnitPrice {
  usualUsd: number | undefined
  mostUsd: number | undefined
}

/** Charged where the provider does not tell its cost. */
export const usualPriceOf = ({ usualUsd = 0 }: UnitPrice): Nanos => nanosOfUsd(usualUsd)

/** Reserved, and charged at the most: the provider's own figure is known only afterwards. */
export const mostPriceOf = ({ usualUsd = 0, mostUsd = usualUsd * UNSTATED_MARGIN }: UnitPrice): Nanos =>
  nanosOfUsd(Math.max(usualUsd, mostUsd))
