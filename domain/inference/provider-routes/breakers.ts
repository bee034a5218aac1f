import { UpstreamFailure, type UpstreamFailureKind } from '../../../infra/upstreams/upstream.ts'
import type { ProviderRoute } from '../catalog/catalog.ts'
import { nameOfRoute } from './route-name.ts'

const FAILURES_TO_OPEN = 5
const HALF_OPEN_AFTER_MS = 10_000
/** Failures that say something of the route's health; the others are the request's, the client's or of load. */
const UNHEALTHY: ReadonlySet<UpstreamFailureKind> = new Set(['refused', 'unknown_model', 'unavailable', 'timeout'])

export type ProviderRouteHealth = 'good' | 'recovering' | 'broken'

/**
 * A circuit breaker for each upstream, model and user's own key: five failures in a row open it, after ten seconds one call tries.
 * It is this process's own experience.
 */
export interface Breakers {
  healthOf(route: ProviderRoute): ProviderRouteHealth
  /** Runs a call through the route's breaker. Errors: the call's own, or UpstreamFailure `unavailable` where it is open. */
  run<T>(route: ProviderRoute, call: () => Promise<T>): Promise<T>
}

/**
 * closed -(five failures in a row)-> open -(ten seconds)-> half open, where one call tries: it closes the circuit, or
 * opens it for ten seconds more.
 */
interface Circuit {
  failuresInARow: number
  openedAtMs: number | undefined
  isTrying: boolean
}

export function createBreakers(): Breakers {
  const circuits = new Map<string, Circuit>()
  const circuitOf = (route: ProviderRoute): Circuit => {
    const name = nameOfRoute(route)
    const known = circuits.get(name)
    if (known !== undefined) return known
    const made = { failuresInARow: 0, openedAtMs: undefined, isTrying: false }
    circuits.set(name, made)
    return made
  }
  return {
    healthOf: route => healthOf(circuitOf(route)),
    run: (route, call) => {
      const circuit = circuitOf(route)
      return circuit.openedAtMs === undefined ? watched(circuit, call) : tried(circuit, call)
    },
  }
}

function healthOf({ openedAtMs }: Circuit): ProviderRouteHealth {
  if (openedAtMs === undefined) return 'good'
  return Date.now() - openedAtMs >= HALF_OPEN_AFTER_MS ? 'recovering' : 'broken'
}

/** Nobody waits for the one call that tries, which may take long. */
async function tried<T>(circuit: Circuit, call: () => Promise<T>): Promise<T> {
  if (circuit.isTrying || healthOf(circuit) === 'broken') {
    throw new UpstreamFailure('unavailable', 'the circuit to the upstream is open', { retryAfterSeconds: 5 })
  }
  circuit.isTrying = true
  try {
    return await watched(circuit, call)
  } finally {
    circuit.isTrying = false
  }
}

async function watched<T>(circuit: Circuit, call: () => Promise<T>): Promise<T> {
  try {
    const result = await call()
    close(circuit)
    return result
  } catch (error) {
    if (error instanceof UpstreamFailure) learn(circuit, error.kind)
    throw error
  }
}

/** What is the request's fault is a success of the route; that a client left, or we have no time, says nothing of it. */
function learn(circuit: Circuit, kind: UpstreamFailureKind): void {
  if (kind === 'aborted' || kind === 'busy') return
  if (!UNHEALTHY.has(kind)) return close(circuit)
  circuit.failuresInARow += 1
  if (circuit.isTrying || circuit.failuresInARow >= FAILURES_TO_OPEN) circuit.openedAtMs = Date.now()
}

function close(circuit: Circuit): void {
  circuit.failuresInARow = 0
  circuit.openedAtMs = undefined
}
