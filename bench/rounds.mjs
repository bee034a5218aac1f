import { megabytes, median, ratio, rounded } from './figures.mjs'
import { runLoad } from './load.mjs'
import { usageOf } from './processes.mjs'
import { requireRight } from './targets.mjs'

const WARMUP_SECONDS = 0.5
/** A process compiles its code as it goes: until two looks differ by less, but for no longer than this. */
const STEADY = { lookSeconds: 3, within: 0.03, longestSeconds: 15 }

/**
 * Asks each target for some seconds, one after the other, and that several times over, so that a slow minute of the
 * machine is no target's own. Gives the samples by target, in the order of the rounds.
 */
export async function alternate(targets, ask, { rounds, seconds, quick, log }) {
  const seen = Object.fromEntries(targets.map(({ name }) => [name, []]))
  if (!quick) for (const target of targets) await warmUp(target, ask)
  for (let round = 1; round <= rounds; round += 1) {
    for (const target of targets) {
      seen[target.name].push(await sampleOf(target, { ...ask, seconds, warmupSeconds: WARMUP_SECONDS }))
    }
    log(`round ${round}: ${targets.map(({ name }) => `${name} ${summaryOf(seen[name].at(-1))}`).join(', ')}`)
  }
  requireRight(seen)
  return seen
}

/** Asks a target until its rate no longer rises. */
async function warmUp(target, ask) {
  let before = 0
  for (let spent = 0; spent < STEADY.longestSeconds; spent += STEADY.lookSeconds) {
    const { requests_per_second: rate } = await runLoad({ ...target.ask, ...ask, seconds: STEADY.lookSeconds })
    if (rate < before * (1 + STEADY.within)) return
    before = rate
  }
}

const summaryOf = ({ requests_per_second: rate, errors }) =>
  `${Math.round(rate)}/s${errors > 0 ? ` (${errors} errors)` : ''}`

/** A report of the load generator, with the CPU seconds by process and the peak memory of the one that serves. */
async function sampleOf({ ask, pids }, options) {
  const before = usages(pids)
  const report = await runLoad({ ...ask, ...options })
  const after = usages(pids)
  const cpuSeconds = Object.fromEntries(
    Object.keys(pids).map(name => [name, after[name].cpuSeconds - before[name].cpuSeconds]),
  )
  return { ...report, cpuSeconds, peakRssBytes: after.api?.peakRssBytes }
}

const usages = pids => Object.fromEntries(Object.entries(pids).map(([name, pid]) => [name, usageOf(pid)]))

/** One row a target: medians over the rounds, with the spread of the requests per second. */
export const rowsOf = seen =>
  Object.entries(seen).map(([target, samples]) => {
    const rates = samples.map(sample => sample.requests_per_second)
    const middle = figure => rounded(median(samples.map(sample => sample[figure])))
    return {
      target,
      requests_per_second: rounded(median(rates)),
      min: rounded(Math.min(...rates)),
      max: rounded(Math.max(...rates)),
      of_pass_through: rounded(ratio(samples, seen['pass-through'], 'requests_per_second')),
      p50_ms: middle('p50_ms'),
      p99_ms: middle('p99_ms'),
      cpu_ms: cpuMs(samples, 'api', 'requests_with_warmup'),
      postgres_cpu_ms: cpuMs(samples, 'postgres', 'requests_with_warmup'),
      peak_mb: peakMb(samples),
      errors: samples.reduce((sum, { errors }) => sum + errors, 0),
    }
  })

/** Milliseconds of CPU for each request (or delta), of a process and its children. */
export function cpuMs(samples, process, count) {
  if (samples[0].cpuSeconds[process] === undefined) return null
  return rounded(median(samples.map(sample => (sample.cpuSeconds[process] * 1000) / sample[count])))
}

export const peakMb = samples => {
  const peaks = samples.flatMap(({ peakRssBytes }) => peakRssBytes ?? [])
  return peaks.length === 0 ? null : megabytes(Math.max(...peaks))
}
