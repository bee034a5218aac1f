import type { ProviderRoute } from '../catalog/catalog.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { DomainError } from '../../core/errors.ts'
import type { Owner } from '../../core/caller.rules.ts'
import type { CallPolicy } from './call-policy.rules.ts'
import { orderRoutes, permittedRoutes, type RouteFacts } from './route-plan.rules.ts'
import type { RoutingDeps } from './routing.service.ts'

export type PlanDeps = Pick<RoutingDeps, 'catalog' | 'latencies' | 'sessions' | 'ownRoutes'>

export interface PlannedCall {
  owner: Owner
  model: CatalogEntry
  policy: CallPolicy
}

/**
 * The routes that a call may take, in the order in which they are tried.
 * Errors: 409 where none is configured, or none is left by the policy.
 */
export async function planRoutes(deps: PlanDeps, call: PlannedCall): Promise<readonly ProviderRoute[]> {
  const { model, policy } = call
  const own = policy.ownKeys === 'never' ? [] : await deps.ownRoutes(call.owner, model)
  const hosted = policy.ownKeys === 'without_hosted_fallback' && own.length > 0 ? [] : deps.catalog.routesOf(model)
  const known = [...own, ...hosted]
  if (known.length === 0) throw notEnabled(model, policy)
  const factsOf = (route: ProviderRoute) => routeFacts(deps, route)
  const permitted = permittedRoutes(known, factsOf, policy)
  if (permitted.length === 0) throw nonePermitted(policy)
  const ordered = preferSession(deps, call, orderRoutes(permitted, factsOf, policy))
  return policy.noExternalFallback ? ordered.filter((route, index) => index === 0 || !route.upstream.external) : ordered
}

const routeFacts = (deps: PlanDeps, route: ProviderRoute): RouteFacts => ({
  isExternal: route.upstream.external,
  isOwn: route.credentialId !== undefined,
  region: route.upstream.region,
  quality: route.quality,
  latency: route.latency,
  firstEventMs: deps.latencies.of(route),
})

/** A session's route goes first, but never before the caller's own keys. */
function preferSession(deps: PlanDeps, { owner, model, policy }: PlannedCall, routes: readonly ProviderRoute[]) {
  if (policy.sessionId === undefined) return routes
  const last = deps.sessions.routeOf({ owner, modelId: model.id, sessionId: policy.sessionId }, routes)
  if (last === undefined || (last.credentialId === undefined && routes[0]?.credentialId !== undefined)) return routes
  return [last, ...routes.filter(route => route !== last)]
}

function notEnabled(model: CatalogEntry, policy: CallPolicy): DomainError {
  if (policy.ownKeys === 'only') return nonePermitted(policy)
  return new DomainError(409, 'model_unavailable', `The model ${model.id} is not enabled here.`, {
    type: 'model_not_enabled',
    param: 'model',
  })
}

function nonePermitted(policy: CallPolicy): DomainError {
  const [message, type] = policy.internalOnly
    ? [
        'No external processing is allowed for this call, by its key or its metadata, and no internal capacity serves the model.',
        'external_processing_not_allowed',
      ]
    : ['`byok_only` was asked, and no provider credential of this account serves the model.', 'no_provider_credential']
  return new DomainError(409, 'capacity_unavailable', message, { type, retryable: false, param: 'model' })
}
