import { describe, expect, test } from '@jest/globals'
import type { ProviderRoute } from '../../../../domain/inference/catalog/catalog.ts'
import type { PublicRequestMetadata } from '../../../../domain/inference/metadata/metadata.schema.ts'
import { DomainError } from '../../../../domain/core/errors.ts'
import { callPolicyOf } from '../../../../domain/inference/provider-routes/call-policy.rules.ts'
import { createLatencies } from '../../../../domain/inference/provider-routes/latencies.ts'
import { planRoutes } from '../../../../domain/inference/provider-routes/route-plan.ts'
import { createSessions } from '../../../../domain/inference/provider-routes/sessions.ts'
import { anyRules, launchCatalog, launchModel, rejectedBy } from '../../fixtures.ts'

const model = launchModel('openai/gpt-5-nano')
const owner = { userId: 'user_a', projectId: null }

const route = (
  id: string,
  changes: Partial<ProviderRoute> & { external?: boolean; region?: string } = {},
): ProviderRoute => {
  const { external = true, region, ...rest } = changes
  return {
    upstream: { id, baseUrl: `http://${id}`, apiKey: undefined, external, region },
    model: `${id}-model`,
    ...rest,
  }
}
const a = route('a')
const b = route('b', { region: 'eu', quality: 'premium', latency: 'deep' })
const inner = route('inner', { external: false, quality: 'low_cost', latency: 'fast' })
const own = route('own', { credentialId: 'cred_1' })

function planner(hosted: ProviderRoute[], ownRoutes: ProviderRoute[] = []) {
  const deps = {
    catalog: { ...launchCatalog(), routesOf: () => hosted },
    latencies: createLatencies(),
    sessions: createSessions(),
    ownRoutes: () => Promise.resolve(ownRoutes),
  }
  const plan = async (metadata: PublicRequestMetadata = {}, rules = anyRules, who = owner) => {
    const routes = await planRoutes(deps, { owner: who, model, policy: callPolicyOf(metadata, rules) })
    return routes.map(({ upstream }) => upstream.id)
  }
  return { deps, plan }
}

describe('the routes of a call are tried in the order', () => {
  test.each<[string, PublicRequestMetadata, string[]]>([
    ['of the catalog, after the own keys', {}, ['own', 'a', 'b', 'inner']],
    ['of the catalog, without own keys', { byok_fallback_policy: 'hosted_only' }, ['a', 'b', 'inner']],
    ['of own keys alone', { byok_fallback_policy: 'byok_only' }, ['own']],
    ['of own keys alone where there are some', { byok_fallback_policy: 'fail_closed_on_byok_error' }, ['own']],
    ['of the region', { prefer_region: 'eu' }, ['own', 'b', 'a', 'inner']],
    ['of the quality', { quality_tier: 'premium' }, ['own', 'b', 'a', 'inner']],
    ['of the cost', { quality_tier: 'low_cost' }, ['own', 'inner', 'a', 'b']],
    ['of the latency tier', { latency_tier: 'deep' }, ['own', 'b', 'a', 'inner']],
    ['of a fast profile', { fallback_profile: 'latency_first' }, ['own', 'inner', 'a', 'b']],
    ['of our own network first', { fallback_profile: 'network_first' }, ['own', 'inner', 'a', 'b']],
    ['of what costs least first', { fallback_profile: 'cost_first' }, ['own', 'inner', 'a', 'b']],
    ['of the region before the quality', { prefer_region: 'eu', quality_tier: 'low_cost' }, ['own', 'b', 'inner', 'a']],
    ['without what is external: PII', { contains_pii: true }, ['inner']],
    ['without what is external: sensitive', { sensitive: true }, ['inner']],
    ['without what is external: privacy', { fallback_profile: 'privacy_first' }, ['inner']],
  ])('%s', async (_what, metadata, expected) => {
    expect(await planner([a, b, inner], [own]).plan(metadata)).toEqual(expected)
  })

  test('of what is within the target, as it was measured', async () => {
    const { deps, plan } = planner([a, b, inner])
    deps.latencies.note(a, 900)
    deps.latencies.note(b, 100)
    expect(await plan({ ttft_target_ms: 500 })).toEqual(['b', 'inner', 'a'])
    expect(await plan({ latency_target_ms: 50 })).toEqual(['inner', 'a', 'b'])
    expect(await plan({ ttft_target_ms: 1_000 })).toEqual(['a', 'b', 'inner'])
  })

  test('of the session, for its owner and model alone', async () => {
    const { deps, plan } = planner([a, b, inner])
    deps.sessions.note({ owner, modelId: model.id, sessionId: 's' }, b)
    expect(await plan({ session_id: 's' })).toEqual(['b', 'a', 'inner'])
    expect(await plan({ session_id: 'other' })).toEqual(['a', 'b', 'inner'])
    expect(await plan({ session_id: 's' }, anyRules, { userId: 'user_b', projectId: null })).toEqual([
      'a',
      'b',
      'inner',
    ])
  })

  test('of own keys before that of the session', async () => {
    const { deps, plan } = planner([a, b], [own])
    deps.sessions.note({ owner, modelId: model.id, sessionId: 's' }, b)
    expect(await plan({ session_id: 's' })).toEqual(['own', 'a', 'b'])
  })

  test('without an external fallback, for a smoke test', async () => {
    const { plan } = planner([a, b, inner])
    const smokeTest = { ...anyRules, smokeTest: true }
    expect(await plan({ disable_external_fallback: true }, smokeTest)).toEqual(['a', 'inner'])
    expect(await rejectedBy(DomainError, plan({ disable_external_fallback: true }))).toMatchObject({
      status: 403,
      code: 'policy_violation',
      param: 'metadata.disable_external_fallback',
    })
  })
})

describe('a call without a route is a 409', () => {
  const internalOnly = { ...anyRules, externalProcessing: false }
  test.each<[string, ProviderRoute[], PublicRequestMetadata, typeof anyRules, string, string]>([
    ['none configured', [], {}, anyRules, 'model_unavailable', 'model_not_enabled'],
    ['the key', [a, b], {}, internalOnly, 'capacity_unavailable', 'external_processing_not_allowed'],
    ['PII', [a, b], { contains_pii: true }, anyRules, 'capacity_unavailable', 'external_processing_not_allowed'],
    [
      'no own key',
      [a],
      { byok_fallback_policy: 'byok_only' },
      anyRules,
      'capacity_unavailable',
      'no_provider_credential',
    ],
  ])('%s', async (_what, routes, metadata, rules, code, type) => {
    const { plan } = planner(routes)
    expect(await rejectedBy(DomainError, plan(metadata, rules))).toMatchObject({ status: 409, code, type })
  })
})
