import { goal, median, ratio, rounded } from '../figures.mjs'
import { alternate, cpuMs, peakMb } from '../rounds.mjs'
import { withTargets } from '../targets.mjs'

const SECONDS = 4
const FULL_SPEED = { stream: true, connections: 32 }
/** As fast as a quick model, and few enough that nothing waits for the processor. */
const PACED = { stream: true, connections: 8, content: JSON.stringify({ deltas: 50, everyMs: 10 }) }

export const title = 'Chat, streamed: 200 deltas without delay; and the first of deltas 10 ms apart'

export async function run(context) {
  const options = { ...context, seconds: context.seconds ?? SECONDS }
  return await withTargets(context, async targets => {
    context.log('200 deltas as fast as they come, 32 connections')
    const full = await alternate(targets, FULL_SPEED, options)
    context.log('deltas 10 ms apart, 8 connections')
    const paced = await alternate(targets, PACED, options)
    return { rows: targets.map(({ name }) => rowOf(name, full, paced)), goals: goalsOf(full, paced) }
  })
}

const firstDelta = samples => median(samples.map(sample => sample.first_delta_p50_ms))

function rowOf(target, full, paced) {
  const samples = full[target]
  const middle = figure => rounded(median(samples.map(sample => sample[figure])))
  const usOf = process => {
    const ms = cpuMs(samples, process, 'deltas_with_warmup')
    return ms === null ? null : rounded(ms * 1000)
  }
  return {
    target,
    requests_per_second: middle('requests_per_second'),
    deltas_per_second: middle('deltas_per_second'),
    of_pass_through: rounded(ratio(samples, full['pass-through'], 'deltas_per_second')),
    cpu_us_per_delta: usOf('api'),
    postgres_cpu_us_per_delta: usOf('postgres'),
    p50_ms: middle('p50_ms'),
    p99_ms: middle('p99_ms'),
    first_delta_p50_ms: rounded(firstDelta(paced[target])),
    first_delta_held_back_ms: rounded(firstDelta(paced[target]) - firstDelta(paced['pass-through'])),
    peak_mb: peakMb(samples),
    errors: [...samples, ...paced[target]].reduce((sum, { errors }) => sum + errors, 0),
  }
}

function goalsOf(full, paced) {
  const share = ratio(full.ipop, full['pass-through'], 'deltas_per_second')
  const heldBack = firstDelta(paced.ipop) - firstDelta(paced['pass-through'])
  return [
    goal('deltas/s of the bare pass-through: at least 0.6x', share, { least: 0.6 }),
    goal('first delta held back: under 2 ms', heldBack, { below: 2 }),
    goal('peak memory of the API process: under 200 MB', peakMb(full.ipop), { below: 200 }),
  ]
}
