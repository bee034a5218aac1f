import { usageOf } from './processes.mjs'

const LOOK_EVERY_MS = 500
const OURS = ['api', 'control', 'model', 'media']

/** MB, resident. */
export const residentMb = pid => usageOf(pid).rssBytes / 2 ** 20

/** Watches the memory of a stack's own processes; `stop` gives the most that each had, in MB, by name. */
export function watchMemory(pids) {
  const most = Object.fromEntries(OURS.map(name => [name, 0]))
  const look = () => {
    for (const name of OURS) most[name] = Math.max(most[name], residentMb(pids[name]))
  }
  look()
  const timer = setInterval(look, LOOK_EVERY_MS)
  return {
    stop: () => {
      clearInterval(timer)
      return most
    },
  }
}
