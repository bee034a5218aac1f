import { memoryMb } from './processes.mjs'

const LOOK_EVERY_MS = 500

/** Watches the resident memory of a stack's own processes; `stop` gives the most that each had, in MB, by name. */
export function watchMemory(pids) {
  const most = {}
  const look = () => {
    for (const [name, pid] of Object.entries(pids)) {
      if (/^(api|worker)/.test(name)) most[name] = Math.max(most[name] ?? 0, memoryMb(pid).rss)
    }
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
