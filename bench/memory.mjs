import { megabytes } from './figures.mjs'
import { usageOf } from './processes.mjs'

const LOOK_EVERY_MS = 500
const OURS = ['api', 'control', 'model', 'provider-jobs']

/** Samples the resident memory of a stack's own processes; `stop` gives the bytes of each, by name, as they came. */
export function sampleMemory(pids, everyMs = LOOK_EVERY_MS) {
  const seen = Object.fromEntries(OURS.map(name => [name, []]))
  const look = () => {
    for (const name of OURS) seen[name].push(usageOf(pids[name]).rssBytes)
  }
  look()
  const timer = setInterval(look, everyMs)
  return {
    stop: () => {
      clearInterval(timer)
      return seen
    },
  }
}

/** Watches the memory of a stack's own processes; `stop` gives the most that each had, in MB. */
export function watchMemory(pids) {
  const sampled = sampleMemory(pids)
  const peakOf = ([name, bytes]) => [`${name}_peak_mb`, megabytes(Math.max(...bytes))]
  return { stop: () => Object.fromEntries(Object.entries(sampled.stop()).map(peakOf)) }
}
