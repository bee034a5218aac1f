export const median = values => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = (sorted.length - 1) / 2
  return (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2
}

/** To three figures that count: 14321 stays 14321, 0.123456 is 0.123. */
export const rounded = value =>
  Math.abs(value) >= 100 || value === 0 ? Math.round(value) : Number(value.toPrecision(3))

export const megabytes = bytes => Math.round(bytes / 2 ** 20)

/** The median of what two targets did in the same rounds: the machine's mood is in both. */
export const ratio = (samples, others, figure) =>
  median(samples.map((sample, round) => sample[figure] / others[round][figure]))

/** A goal is met at `least` or above and under `below`; `value` is undefined where it could not be measured. */
export function goal(text, value, { least = -Infinity, below = Infinity }) {
  if (value === undefined || Number.isNaN(value)) return { goal: text, value: null, met: null }
  return { goal: text, value: rounded(value), met: value >= least && value < below }
}

/** The value below which that share of the values lies. */
export const quantile = (values, share) => values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]
