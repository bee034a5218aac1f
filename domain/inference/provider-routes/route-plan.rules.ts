import type { CallPolicy } from './call-policy.rules.ts'

/** What ordering needs to know of a route. */
export interface RouteFacts {
  isExternal: boolean
  /** It is paid by a key of the caller's own. */
  isOwn: boolean
  region: string | undefined
  quality: CallPolicy['quality']
  latency: CallPolicy['latency']
  /** The running mean; undefined where it was not measured. */
  firstEventMs: number | undefined
}

/** Ranks a route by one wish: 0 is met, higher is further from it. */
type Rank = (facts: RouteFacts) => number

const met = (isMet: boolean): number => (isMet ? 0 : 1)
const LATENCY_ORDER = { fast: 0, balanced: 1, deep: 2 }
const UNSTATED = 'balanced'

/**
 * Orders routes by what a call wishes, the strongest wish first: own keys, region, measured time, tiers, the profile.
 * Routes that differ in none keep the catalog's order of preference.
 */
export function orderRoutes<R>(routes: readonly R[], factsOf: (route: R) => RouteFacts, policy: CallPolicy): R[] {
  if (routes.length < 2) return [...routes]
  const ranks = preferencesOf(policy)
  const ranked = routes.map(route => ({ route, facts: factsOf(route) }))
  return ranked
    .toSorted((a, b) => firstDifference(ranks.map(rank => rank(a.facts) - rank(b.facts))))
    .map(({ route }) => route)
}

/** The routes that a call may take at all. */
export function permittedRoutes<R>(routes: readonly R[], factsOf: (route: R) => RouteFacts, policy: CallPolicy): R[] {
  return routes.filter(route => {
    const { isExternal, isOwn } = factsOf(route)
    if (isExternal && policy.internalOnly) return false
    if (isOwn) return policy.ownKeys !== 'never'
    return policy.ownKeys !== 'only'
  })
}

function preferencesOf(policy: CallPolicy): Rank[] {
  const { region, firstTokenMs, quality, latency, profile } = policy
  return [
    facts => met(facts.isOwn),
    ...(region === undefined ? [] : [(facts: RouteFacts) => met(facts.region === region)]),
    ...(firstTokenMs === undefined ? [] : [(facts: RouteFacts) => met((facts.firstEventMs ?? 0) <= firstTokenMs)]),
    ...(latency === undefined ? [] : [(facts: RouteFacts) => latencyDistance(facts, latency)]),
    ...(quality === undefined ? [] : [(facts: RouteFacts) => met((facts.quality ?? UNSTATED) === quality)]),
    ...(profile === undefined ? [] : [(facts: RouteFacts) => PROFILE_RANKS[profile](facts)]),
  ]
}

const latencyDistance = (facts: RouteFacts, wanted: NonNullable<CallPolicy['latency']>): number =>
  Math.abs(LATENCY_ORDER[facts.latency ?? UNSTATED] - LATENCY_ORDER[wanted])

const PROFILE_RANKS: Record<NonNullable<CallPolicy['profile']>, Rank> = {
  network_first: facts => met(!facts.isExternal),
  cost_first: facts => met(facts.quality === 'low_cost'),
  latency_first: facts => facts.firstEventMs ?? 0,
}

const firstDifference = (differences: number[]): number => differences.find(difference => difference !== 0) ?? 0
