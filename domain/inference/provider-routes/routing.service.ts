import type { Log } from '../../../infra/log.ts'
import {
  UpstreamFailure,
  type UpstreamCall,
  type UpstreamClient,
  type UpstreamEvents,
  type UpstreamJson,
  type UpstreamPath,
} from '../../../infra/upstreams/upstream.ts'
import type { Catalog, ProviderRoute } from '../catalog/catalog.ts'
import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { CredentialUse } from '../provider-credentials/credential-use.ts'
import { badRequest, DomainError, rateLimited } from '../../core/errors.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { createBreakers, type Breakers } from './breakers.ts'
import type { CallPolicy } from './call-policy.rules.ts'
import { createCapacity, type Capacity } from './capacity.ts'
import { firstOfHedged, type AttemptAbort } from './hedge.ts'
import { createLatencies, type Latencies } from './latencies.ts'
import { createSessions, type Sessions } from './sessions.ts'
import { publicRefusal } from './upstream-text.rules.ts'

/** What a process has learnt of its routes. */
export interface RouteExperience {
  breakers: Breakers
  capacity: Capacity
  latencies: Latencies
  sessions: Sessions
}

export interface RoutingDeps extends RouteExperience {
  catalog: Catalog
  upstreams: UpstreamClient
  /** Routes that the owner's own provider credentials pay for. */
  ownRoutes: (owner: Owner, model: CatalogEntry) => readonly ProviderRoute[] | Promise<readonly ProviderRoute[]>
  /** Told what calls over them tell of the credentials. */
  credentialUse: CredentialUse
  log: Log
}

export const newRouteExperience = (): RouteExperience => ({
  breakers: createBreakers(),
  capacity: createCapacity(),
  latencies: createLatencies(),
  sessions: createSessions(),
})

export interface RoutedCall {
  requestId: string
  owner: Owner
  model: CatalogEntry
  policy: CallPolicy
  /** In the order in which they are tried. */
  routes: readonly ProviderRoute[]
  path: UpstreamPath
  /** The request for the upstream, but for its `model`. */
  body: Record<string, unknown>
  signal: AbortSignal
  /** Sent to upstreams that take one. */
  idempotencyKey?: string
}

/** What came back, and from where. */
export type Routed<Reply> = Reply & {
  route: ProviderRoute
  /** Routes that failed before this one. */
  fallbackCount: number
}

/** The call over the first route that answers. Errors: DomainError, or UpstreamFailure `aborted`. */
export const callForJson = (deps: RoutingDeps, call: RoutedCall): Promise<Routed<UpstreamJson>> =>
  firstThatAnswers(deps, call, {
    send: (route, upstreamCall) => deps.upstreams.json(route.upstream, upstreamCall),
    answered: (reply, releaseSlot) => {
      releaseSlot()
      return reply
    },
  })

/** The same, as a stream: routes are tried until one gives its first event. */
export const callForEvents = (deps: RoutingDeps, call: RoutedCall): Promise<Routed<UpstreamEvents>> =>
  firstThatAnswers(deps, call, {
    send: async (route, upstreamCall) => {
      const startedAtMs = performance.now()
      const reply = await deps.upstreams.events(route.upstream, upstreamCall)
      deps.latencies.note(route, performance.now() - startedAtMs)
      return reply
    },
    answered: ({ events, headers }, releaseSlot) => ({ events: untilEnd(events, releaseSlot), headers }),
  })

async function* untilEnd<T>(items: AsyncIterable<T>, atEnd: () => void): AsyncGenerator<T, void> {
  try {
    for await (const item of items) yield item
  } finally {
    atEnd()
  }
}

interface Sending<Reply> {
  send: (route: ProviderRoute, call: UpstreamCall) => Promise<Reply>
  /** The reply as it is passed on; `releaseSlot` is to be called when it is over, since until then it holds a slot. */
  answered: (reply: Reply, releaseSlot: () => void) => Reply
}

async function firstThatAnswers<Reply extends object>(
  deps: RoutingDeps,
  call: RoutedCall,
  { send, answered }: Sending<Reply>,
): Promise<Routed<Reply>> {
  const failures: RouteFailure[] = []
  const attempt = async (route: ProviderRoute, { signal, release }: AttemptAbort): Promise<Reply> => {
    const { priority, queueBudgetMs } = call.policy
    let releaseSlot = release
    try {
      const giveBack = await deps.capacity.acquire(route.upstream, { priority, budgetMs: queueBudgetMs, signal })
      releaseSlot = () => {
        giveBack()
        release()
      }
      const { path, idempotencyKey } = call
      const tenant = call.owner.userId
      const upstreamCall = { path, body: bodyFor(route, call), signal, tenant, idempotencyKey }
      const reply = await deps.breakers.run(route, () => send(route, upstreamCall))
      return answered(reply, releaseSlot)
    } catch (error) {
      releaseSlot()
      throw error
    }
  }
  const first = await firstOfHedged({
    candidates: call.routes,
    attempt,
    hedgeAfterMs: call.policy.hedgeAfterMs,
    signal: call.signal,
    failed: (route, error) => void failures.push({ route, failure: requireNextRoute(deps, call, route, error) }),
  })
  if (first === undefined) throw noneAnswered(failures)
  const { candidate: route, reply } = first
  if (route.credentialId !== undefined) deps.credentialUse.succeeded(call.owner, route.credentialId)
  if (call.policy.sessionId !== undefined) {
    deps.sessions.note({ owner: call.owner, modelId: call.model.id, sessionId: call.policy.sessionId }, route)
  }
  return Object.assign(reply, { route, fallbackCount: failures.length })
}

/** The body under the route's own model id, with what only some upstreams understand. */
function bodyFor(route: ProviderRoute, { body, policy }: RoutedCall): Record<string, unknown> {
  const { promptCache } = policy
  const named = { ...withLimitNamed(body, route), model: route.model }
  if (promptCache === undefined || route.upstream.promptCaching !== true) return named
  if (route.upstream.wire === 'anthropic') return { ...named, prompt_cache: { policy: 'auto', ttl: promptCache.ttl } }
  return promptCache.key === undefined ? named : { ...named, prompt_cache_key: promptCache.key }
}

/** The limit under both names, as it is in the body, or under the one that the upstream takes. */
function withLimitNamed(
  body: Record<string, unknown>,
  { upstream, output_limit_name }: ProviderRoute,
): Record<string, unknown> {
  const name = output_limit_name ?? upstream.outputLimitName
  if (name === undefined) return body
  const { max_tokens: older, max_completion_tokens: newer, ...others } = body
  const limit = newer ?? older
  return limit === undefined ? others : { ...others, [name]: limit }
}

/** Gives the failure back where another route may do better; else throws what the caller is told. */
function requireNextRoute(deps: RoutingDeps, call: RoutedCall, route: ProviderRoute, error: unknown): UpstreamFailure {
  if (!(error instanceof UpstreamFailure) || error.kind === 'aborted') throw error
  if (error.kind === 'busy') throw error.cause
  if (error.kind === 'rejected') throw rejectedByUpstream(route, error)
  const fields = {
    requestId: call.requestId,
    upstream: route.upstream.id,
    model: route.model,
    kind: error.kind,
    status: error.status,
  }
  if (route.credentialId !== undefined) deps.credentialUse.failed(call.owner, route.credentialId, error)
  if (error.kind === 'refused' && route.credentialId === undefined)
    deps.log.error(fields, 'the upstream refused our own key or credit: an operator must look')
  else deps.log.warn(fields, 'an upstream call failed')
  return error
}

function rejectedByUpstream(route: ProviderRoute, failure: UpstreamFailure): DomainError {
  if (failure.sentence !== undefined) return rejected(failure.sentence)
  const { kind, sentence, param } = publicRefusal(failure, route.credentialId !== undefined)
  if (kind !== 'too_long') return rejected(sentence, param)
  const type = 'context_length_exceeded'
  return new DomainError(400, 'context_length_exceeded', sentence, { type, param: 'messages' })
}

const rejected = (sentence: string, param?: string): DomainError => badRequest(sentence, param, 'rejected_by_model')

interface RouteFailure {
  route: ProviderRoute
  failure: UpstreamFailure
}

/** The error type where every upstream is away: no connection, one that broke, or a circuit that is open. */
export const UPSTREAM_UNREACHABLE = 'upstream_unreachable'

const isUnreachable = ({ failure: { kind, status } }: RouteFailure): boolean =>
  kind === 'unavailable' && status === undefined
const isRefusedKey = ({ route, failure }: RouteFailure): boolean =>
  failure.kind === 'refused' && route.credentialId !== undefined

function noneAnswered(failures: RouteFailure[]): DomainError {
  if (failures.length > 0 && failures.every(isRefusedKey)) return refusedKey(failures)
  const waits = failures.flatMap(({ failure }) => failure.retryAfterSeconds ?? [])
  const retryAfterSeconds = waits.length > 0 ? Math.min(...waits) : 5
  if (failures.length > 0 && failures.every(({ failure }) => failure.kind === 'rate_limited')) {
    return rateLimited('The model is at its limit right now.', retryAfterSeconds)
  }
  const type = failures.every(isUnreachable) ? UPSTREAM_UNREACHABLE : 'service_unavailable'
  return new DomainError(503, 'service_unavailable', 'The model could not be reached right now.', {
    type,
    retryAfterSeconds,
  })
}

/** Nothing but the caller's own keys was asked, and their providers refuse them. */
function refusedKey(failures: RouteFailure[]): DomainError {
  const ids = failures.map(({ route }) => route.credentialId).join(', ')
  return new DomainError(
    409,
    'capacity_unavailable',
    `The provider refuses your own key (${ids}). Test it with POST /v1/account/provider-credentials/{credential_id}/test.`,
    { type: 'provider_credential_refused', retryable: false },
  )
}
