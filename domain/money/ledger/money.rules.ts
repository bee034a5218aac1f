/**
 * Money is whole nano-USD in a bigint. Rates are whole pico-USD a token, so that a call can be summed without a
 * fraction and is rounded once.
 */
export type Nanos = bigint

const NANOS_PER_USD = 1_000_000_000n
const PICOS_PER_NANO = 1_000n

/** USD as a JSON number. Exact to the last digit below 1,000,000 USD: 15 digits fit a double. */
export const usdNumber = (nanos: Nanos): number => Number(nanos) / Number(NANOS_PER_USD)

/** Nano-USD of a JSON number of USD, to the nearest. */
export const nanosOfUsd = (usd: number): Nanos => BigInt(Math.round(usd * Number(NANOS_PER_USD)))

/** USD as text with at least two decimals and no more than needed: `1.50`, `0.000012`. */
export function usdText(nanos: Nanos): string {
  const sign = nanos < 0n ? '-' : ''
  const magnitude = nanos < 0n ? -nanos : nanos
  const fraction = (magnitude % NANOS_PER_USD).toString().padStart(9, '0')
  return `${sign}${magnitude / NANOS_PER_USD}.${fraction.slice(0, 2)}${fraction.slice(2).replace(/0+$/, '')}`
}

/** Nano-USD of a decimal text such as `12.5`; undefined where it is not one or has more than nine decimals. */
export function parseUsd(text: string): Nanos | undefined {
  const match = /^(-?)(\d{1,9})(?:\.(\d{1,9}))?$/.exec(text.trim())
  if (match === null) return undefined
  const [, sign, whole, fraction = ''] = match
  const nanos = BigInt(whole ?? '0') * NANOS_PER_USD + BigInt(fraction.padEnd(9, '0'))
  return sign === '-' ? -nanos : nanos
}

/** Pico-USD a token of a rate in USD per million tokens. */
export const picosPerToken = (usdPerMillion: number): bigint => BigInt(Math.round(usdPerMillion * 1_000_000))

/** Rounded half up, once a call. `picos` is not negative. */
export const nanosOfPicos = (picos: bigint): Nanos => (picos + PICOS_PER_NANO / 2n) / PICOS_PER_NANO
