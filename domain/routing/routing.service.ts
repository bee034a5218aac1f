import type { Log } from '../../infra/log.ts'
import {
  UpstreamFailure,
  type UpstreamClient,
  type UpstreamEvents,
  type UpstreamJson,
  type UpstreamPath,
} from '../../infra/upstreams/upstream.ts'
import type { Catalog, Route } from '../catalog/catalog.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { DomainError, rateLimited } from '../errors.ts'
import type { KeyRules } from '../tenancy/tenancy.rules.ts'
import type { Breakers } from './breakers.ts'

export interface RoutingDeps {
  catalog: Catalog
  upstreams: UpstreamClient
  breakers: Breakers
  log: Log
}

export interface RoutedCall {
  requestId: string
  model: CatalogEntry
  /** In the order in which they are tried. */
  routes: readonly Route[]
  path: UpstreamPath
  /** The request for the upstream, but for its `model`. */
  body: Record<string, unknown>
  signal: AbortSignal
}

/** What came back, and from where. */
export type Routed<Reply> = Reply & {
  route: Route
  /** Routes that failed before this one. */
  fallbackCount: number
}

/** The call over the first route that answers. Errors: DomainError, or UpstreamFailure `aborted`. */
export const callForJson = (deps: RoutingDeps, call: RoutedCall): Promise<Routed<UpstreamJson>> =>
  firstThatAnswers(deps, call, (route, body) =>
    deps.upstreams.json(route.upstream, { path: call.path, body, signal: call.signal }),
  )

/** The same, as a stream: routes are tried until one gives its first event. */
export const callForEvents = (deps: RoutingDeps, call: RoutedCall): Promise<Routed<UpstreamEvents>> =>
  firstThatAnswers(deps, call, (route, body) =>
    deps.upstreams.events(route.upstream, { path: call.path, body, signal: call.signal }),
  )

async function firstThatAnswers<Reply extends object>(
  deps: RoutingDeps,
  call: RoutedCall,
  send: (route: Route, body: Record<string, unknown>) => Promise<Reply>,
): Promise<Routed<Reply>> {
  const failures: UpstreamFailure[] = []
  for (const route of call.routes) {
    try {
      const reply = await deps.breakers.run(route, () => send(route, { ...call.body, model: route.model }))
      return { ...reply, route, fallbackCount: failures.length }
    } catch (error) {
      failures.push(requireNextRoute(deps, call, route, error))
    }
  }
  throw noneAnswered(failures)
}

/** Errors: 409 where no route is configured, or none that the key's rules allow. */
export function allowedRoutes(catalog: Catalog, model: CatalogEntry, rules: KeyRules): readonly Route[] {
  const routes = catalog.routesOf(model)
  if (routes.length === 0) {
    throw new DomainError(409, 'model_unavailable', `The model ${model.id} is not enabled here.`, {
      type: 'model_not_enabled',
      param: 'model',
    })
  }
  const allowed = rules.externalProcessing ? routes : routes.filter(route => !route.upstream.external)
  if (allowed.length > 0) return allowed
  throw new DomainError(
    409,
    'capacity_unavailable',
    'This key allows no external processing, and no internal capacity serves the model.',
    {
      type: 'external_processing_not_allowed',
      retryable: false,
      param: 'model',
    },
  )
}

/** Gives the failure back where another route may do better; else throws what the caller is told. */
function requireNextRoute(deps: RoutingDeps, call: RoutedCall, route: Route, error: unknown): UpstreamFailure {
  if (!(error instanceof UpstreamFailure) || error.kind === 'aborted') throw error
  if (error.kind === 'rejected') throw rejectedByUpstream(error)
  const fields = {
    requestId: call.requestId,
    upstream: route.upstream.id,
    model: route.model,
    kind: error.kind,
    status: error.status,
  }
  if (error.kind === 'refused')
    deps.log.error(fields, 'the upstream refused our own key or credit: an operator must look')
  else deps.log.warn(fields, 'an upstream call failed')
  return error
}

function rejectedByUpstream(failure: UpstreamFailure): DomainError {
  const detail = failure.detail ?? 'The model does not accept this request.'
  if (failure.code === 'context_length_exceeded' || /context (length|window)|maximum context/i.test(detail)) {
    return new DomainError(400, 'context_length_exceeded', detail, {
      type: 'context_length_exceeded',
      param: 'messages',
    })
  }
  return new DomainError(400, 'bad_request', detail, { type: 'rejected_by_model' })
}

/** The error type where every upstream is away: no connection, one that broke, or a circuit that is open. */
export const UPSTREAM_UNREACHABLE = 'upstream_unreachable'

const isAway = ({ kind, status }: UpstreamFailure): boolean => kind === 'unavailable' && status === undefined

function noneAnswered(failures: UpstreamFailure[]): DomainError {
  const waits = failures.flatMap(failure => failure.retryAfterSeconds ?? [])
  const retryAfterSeconds = waits.length > 0 ? Math.min(...waits) : 5
  if (failures.length > 0 && failures.every(failure => failure.kind === 'rate_limited')) {
    return rateLimited('The model is at its limit right now.', retryAfterSeconds)
  }
  const type = failures.every(isAway) ? UPSTREAM_UNREACHABLE : 'service_unavailable'
  return new DomainError(503, 'service_unavailable', 'The model could not be reached right now.', {
    type,
    retryAfterSeconds,
  })
}
