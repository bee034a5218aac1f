import { describe, expect, test } from '@jest/globals'
import type { Catalog } from '../../../../domain/inference/catalog/catalog.ts'
import type { CatalogEntry } from '../../../../domain/inference/catalog/catalog.schema.ts'
import { checkFreshness, makeClientConfig } from '../../../../domain/inference/client-config/client-config.service.ts'
import type { AgentClient } from '../../../../domain/inference/client-config/client-config.schema.ts'
import { fingerprintOf } from '../../../../domain/inference/client-config/fingerprint.ts'
import type { Caller, KeyRules } from '../../../../domain/core/caller.rules.ts'
import { anyRules, launchCatalog, launchModel, thrownBy } from '../../fixtures.ts'

const CLIENTS: AgentClient[] = ['opencode', 'hermes']
const IDS = ['ipop/coder-balanced', 'claude-sonnet-4.6']

const callerWith = (rules: Partial<KeyRules> = {}): Caller => ({
  owner: { userId: 'user_1', projectId: null },
  keyId: 'key_1',
  rules: { ...anyRules, ...rules },
  contentPolicy: null,
})

/** The launch catalog with these models alone. */
function depsWith(changes: Partial<CatalogEntry> = {}, ids = IDS, publicUrl = 'https://api.test') {
  const launch = launchCatalog()
  const entries = ids.map((id, index) => ({ ...launchModel(id), ...(index === 0 ? changes : {}) }))
  const catalog: Catalog = { ...launch, entries }
  return { catalog, config: { publicUrl } }
}

const printOf = (client: AgentClient, deps = depsWith(), caller = callerWith(), key: string | undefined = 'ipop_a') =>
  makeClientConfig(deps, caller, client, key).validation.fingerprint

describe.each(CLIENTS)('the fingerprint of a config of %s', client => {
  test.each<[string, string | undefined]>([
    ['the same request', printOf(client)],
    ['another key', printOf(client, depsWith(), callerWith(), 'ipop_b')],
    ['no key', printOf(client, depsWith(), callerWith(), undefined)],
    ['another order of the models', printOf(client, depsWith({}, IDS.toReversed()))],
    [
      'what no client is told of',
      printOf(client, depsWith({ price_note: 'new', recommended_for: [], tier: 'tier_2' })),
    ],
    [
      'a model that agents cannot use',
      printOf(client, depsWith({}, [...IDS, 'ling-2.6-flash', 'terminaili/embed-balanced'])),
    ],
    ['another key that may use the same models', printOf(client, depsWith(), callerWith({ allowedModels: IDS }))],
  ])('is the same with %s', (_, fingerprint) => {
    expect(fingerprint).toBe(printOf(client))
  })

  test.each<[string, string | undefined]>([
    ['another address', printOf(client, depsWith({}, IDS, 'https://other.test'))],
    ['another window', printOf(client, depsWith({ max_input_tokens: 5 }))],
    ['a model more', printOf(client, depsWith({}, [...IDS, 'grok-4.3']))],
    ['a model less', printOf(client, depsWith({}, IDS.slice(0, 1)))],
    ['another default', printOf(client, depsWith({ default: false, tier: 'tier_2' }))],
    ['a key that may use fewer', printOf(client, depsWith(), callerWith({ allowedModels: IDS.slice(0, 1) }))],
  ])('is another with %s', (_, fingerprint) => {
    expect(fingerprint).not.toBe(printOf(client))
  })

  test('decides freshness', () => {
    const fingerprint = printOf(client) ?? ''
    const ask = (deps = depsWith(), selected?: string) =>
      checkFreshness(deps, callerWith(), client, {
        fingerprint,
        ...(selected !== undefined && { selected_model_id: selected }),
      })
    const [first, second] = IDS
    expect(ask()).toMatchObject({
      client,
      fingerprint,
      fresh: true,
      refresh_recommended: false,
      selected_model_id: first,
    })
    expect(ask(depsWith(), second)).toMatchObject({ refresh_recommended: false, selected_model_id: second })
    expect(ask(depsWith(), 'gone')).toMatchObject({ fresh: true, refresh_recommended: true, selected_model_id: first })
    const changed = ask(depsWith({ max_input_tokens: 5 }))
    expect(changed).toMatchObject({ fresh: false, refresh_recommended: true })
    expect(changed.fingerprint).not.toBe(fingerprint)
  })
})

test('prices are in a config of OpenCode', () => {
  const price = { input: 7, cached_input: 1, output: 9 }
  expect(printOf('opencode', depsWith({ price }))).not.toBe(printOf('opencode'))
  expect(printOf('hermes', depsWith({ price }))).toBe(printOf('hermes'))
})

test.each<[string, Partial<KeyRules>]>([
  ['may use none', { allowedModels: [] }],
  ['may use an embedding model alone', { allowedModels: ['terminaili/embed-balanced'] }],
  ['may not leave the house', { externalProcessing: false }],
])('there is no config for a key that %s', (_, rules) => {
  const refused = thrownBy(() => makeClientConfig(depsWith(), callerWith(rules), 'opencode', 'ipop_a'))
  expect(refused).toMatchObject({ status: 409, code: 'model_unavailable', type: 'no_agent_model', retryable: false })
})

test('a fingerprint looks at all of a value, and not at the order of its keys', () => {
  expect(fingerprintOf({ a: 1, b: { c: [1, { d: 2, e: 3 }] } })).toBe(
    fingerprintOf({ b: { c: [1, { e: 3, d: 2 }] }, a: 1 }),
  )
  const values = [
    { a: 1 },
    { a: '1' },
    { a: null },
    { a: [1] },
    { a: { b: 1 } },
    { a: [1, 2] },
    { a: [2, 1] },
    { b: 1 },
  ]
  expect(new Set(values.map(fingerprintOf)).size).toBe(values.length)
})
