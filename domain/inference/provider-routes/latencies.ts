import type { ProviderRoute } from '../catalog/catalog.ts'
import { nameOfRoute } from './route-name.ts'

/** Weight of the newest measurement in the running mean. */
const NEWEST = 0.2

/** How long routes took to their first event of late, as this process saw it. */
export interface Latencies {
  note(route: ProviderRoute, firstEventMs: number): void
  /** Undefined where the route has not been measured. */
  of(route: ProviderRoute): number | undefined
}

export function createLatencies(): Latencies {
  const means = new Map<string, number>()
  return {
    note: (route, ms) => {
      const before = means.get(nameOfRoute(route))
      means.set(nameOfRoute(route), before === undefined ? ms : before + NEWEST * (ms - before))
    },
    of: route => means.get(nameOfRoute(route)),
  }
}
