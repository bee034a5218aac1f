import { nanosOfPicos, nanosOfUsd, picosPerToken, type Nanos } from '../ledger/money.rules.ts'
import type { TokenUsage } from '../calls/call.rules.ts'

/** USD per million tokens, as the catalog states them. */
export interface Rates {
  input: number
  cached_input: number
  output: number
}

export type ServiceTier = 'standard' | 'batch'

/** What is paid of the standard price. */
const TIER_PERCENT: Record<ServiceTier, bigint> = { standard: 100n, batch: 50n }

/** The price of a call: summed in pico-USD, rounded once to nano-USD, half up. Reasoning tokens are output tokens. */
export function priceOfCall(rates: Rates, usage: TokenUsage, tier: ServiceTier): Nanos {
  const cached = BigInt(Math.min(usage.cached ?? 0, usage.input))
  const picos =
    (BigInt(usage.input) - cached) * picosPerToken(rates.input) +
    cached * picosPerToken(rates.cached_input) +
    BigInt(usage.output) * picosPerToken(rates.output)
  return nanosOfPicos((picos * TIER_PERCENT[tier]) / 100n)
}

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
