import type { Route } from '../catalog/catalog.ts'

/** Weight of the newest measurement in the running mean. */
const NEWEST = 0.2

/** How long routes took to their first event of late, as this process saw it. */
export interface Latencies {
  note(route: Route, firstEventMs: number): void
  /** Undefined where the route has not been measured. */
  of(route: Route): number | undefined
}

export function createLatencies(): Latencies {
  const means = new Map<string, number>()
  const keyOf = (route: Route) => `${route.upstream.id} ${route.model}`
  return {
    note: (route, ms) => {
      const before = means.get(keyOf(route))
      means.set(keyOf(route), before === undefined ? ms : before + NEWEST * (ms - before))
    },
    of: route => means.get(keyOf(route)),
  }
}
