import { megabytes } from './figures.mjs'
import { usageOf } from './processes.mjs'

const LOOK_EVERY_MS = 500
const OURS = ['api', 'control', 'model', 'media']

/** Watches the memory of a stack's own processes; `stop` gives the most that each had, in MB. */
export function watchMemory(pids) {
  const most = Object.fromEntries(OURS.map(name => [name, 0]))
  const look = () => {
    for (const name of OURS) most[name] = Math.max(most[name], usageOf(pids[name]).rssBytes)
  }
  look()
  const timer = setInterval(look, LOOK_EVERY_MS)
  return {
    stop: () => {
      clearInterval(timer)
      return Object.fromEntries(OURS.map(name => [`${name}_peak_mb`, megabytes(most[name])]))
    },
  }
}
