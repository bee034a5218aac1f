import { circuitBreaker, CircuitState, ConsecutiveBreaker, handleWhen, type CircuitBreakerPolicy } from 'cockatiel'
import { UpstreamFailure, type UpstreamFailureKind } from '../../infra/upstreams/upstream.ts'
import type { Route } from '../catalog/catalog.ts'
import { nameOfRoute } from './route-name.ts'

const FAILURES_TO_OPEN = 5
const HALF_OPEN_AFTER_MS = 10_000
/** Failures that say something of the route's health; the others are the request's, the client's or of load. */
const UNHEALTHY: ReadonlySet<UpstreamFailureKind> = new Set(['refused', 'unknown_model', 'unavailable', 'timeout'])

export type RouteHealth = 'good' | 'recovering' | 'broken'

/**
 * A circuit breaker for each upstream, model and user's own key: five failures in a row open it, after ten seconds one call tries.
 * It is this process's own experience.
 */
export interface Breakers {
  healthOf(route: Route): RouteHealth
  /** Runs a call through the route's breaker. Errors: the call's own, or UpstreamFailure `unavailable` where it is open. */
  run<T>(route: Route, call: () => Promise<T>): Promise<T>
}

export function createBreakers(): Breakers {
  const breakers = new Map<string, CircuitBreakerPolicy>()
  const openedAtMs = new Map<CircuitBreakerPolicy, number>()
  const breakerOf = (route: Route) => {
    const key = nameOfRoute(route)
    const known = breakers.get(key)
    if (known !== undefined) return known
    const made: CircuitBreakerPolicy = circuitBreaker(
      handleWhen(error => counts(error, made.state)),
      {
        halfOpenAfter: HALF_OPEN_AFTER_MS,
        breaker: new ConsecutiveBreaker(FAILURES_TO_OPEN),
      },
    )
    made.onBreak(() => openedAtMs.set(made, Date.now()))
    breakers.set(key, made)
    return made
  }
  return {
    healthOf: route => {
      const breaker = breakerOf(route)
      // The policy leaves this state at a call only, and a route that counts as broken is offered to nobody.
      const mayBeTried = Date.now() - (openedAtMs.get(breaker) ?? 0) >= HALF_OPEN_AFTER_MS
      return breaker.state === CircuitState.Open && mayBeTried ? 'recovering' : HEALTH[breaker.state]
    },
    run: async (route, call) => {
      const breaker = breakerOf(route)
      // The policy would let others wait for the one call that tries, for as long as that takes.
      if (breaker.state === CircuitState.HalfOpen) throw circuitOpen()
      const outcome = await breaker
        .execute(() => settled(call))
        .catch((error: unknown) => {
          throw error instanceof UpstreamFailure ? error : circuitOpen(error)
        })
      if ('failure' in outcome) throw outcome.failure
      return outcome.value
    },
  }
}

const circuitOpen = (cause?: unknown): UpstreamFailure =>
  new UpstreamFailure('unavailable', 'the circuit to the upstream is open', { retryAfterSeconds: 5, cause })

const HEALTH: Record<CircuitState, RouteHealth> = {
  [CircuitState.Closed]: 'good',
  [CircuitState.HalfOpen]: 'recovering',
  [CircuitState.Open]: 'broken',
  [CircuitState.Isolated]: 'broken',
}

/**
 * A call that its client left says nothing of a route, so it neither counts nor clears; but it is not the proof that
 * a half-open route waits for.
 */
const counts = (error: Error, state: CircuitState): boolean =>
  error instanceof UpstreamFailure && (UNHEALTHY.has(error.kind) || state === CircuitState.HalfOpen)

/** A call's end as the breaker should see it: what is the request's fault is a success of the route. */
async function settled<T>(call: () => Promise<T>): Promise<{ value: T } | { failure: unknown }> {
  try {
    return { value: await call() }
  } catch (failure) {
    if (failure instanceof UpstreamFailure && (UNHEALTHY.has(failure.kind) || failure.kind === 'aborted')) throw failure
    return { failure }
  }
}
