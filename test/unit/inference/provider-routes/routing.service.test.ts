import { describe, expect, test } from '@jest/globals'
import { pino } from 'pino'
import type { ProviderRoute } from '../../../../domain/inference/catalog/catalog.ts'
import { DomainError } from '../../../../domain/core/errors.ts'
import { callPolicyOf } from '../../../../domain/inference/provider-routes/call-policy.rules.ts'
import {
  callForEvents,
  callForJson,
  newRouteExperience,
  type RoutingDeps,
} from '../../../../domain/inference/provider-routes/routing.service.ts'
import { UpstreamFailure, type UpstreamCall, type UpstreamFailureKind } from '../../../../infra/upstreams/upstream.ts'
import { anyRules, launchCatalog, launchModel, rejectedBy } from '../../fixtures.ts'

const model = launchModel('openai/gpt-5-nano')
const routeTo = (id: string, external = true): ProviderRoute => ({
  upstream: { id, baseUrl: `http://${id}`, apiKey: undefined, external },
  model: `${id}-model`,
})
const [a, b, c] = [routeTo('a'), routeTo('b'), routeTo('c', false)]

type Answer = 'fine' | UpstreamFailure | Error
const failing = (kind: UpstreamFailureKind, details: ConstructorParameters<typeof UpstreamFailure>[2] = {}) =>
  new UpstreamFailure(kind, 'x', details)

/** Upstreams that answer as told, by the id of the upstream; the rest is real. */
function routing(routes: ProviderRoute[], answers: Record<string, Answer>) {
  const asked: [string, unknown][] = []
  const lines: { level: number; msg: string; upstream?: string; kind?: string }[] = []
  const told: [string, string][] = []
  const answer = async ({ id }: { id: string }, { body }: UpstreamCall) => {
    asked.push([id, body['model']])
    const outcome = answers[id] ?? 'fine'
    if (outcome !== 'fine') throw outcome
    return { json: { from: id }, events: (async function* () {})(), headers: new Map<string, string>() }
  }
  const unasked = () => Promise.reject(new Error('nothing is read here'))
  const deps: RoutingDeps = {
    catalog: { ...launchCatalog(), routesOf: () => routes },
    upstreams: { json: answer, events: answer, get: unasked, download: unasked, close: () => Promise.resolve() },
    ...newRouteExperience(),
    ownRoutes: () => Promise.resolve([]),
    credentialUse: {
      succeeded: (_owner, id) => void told.push(['succeeded', id]),
      failed: (_owner, id, { kind }) => void told.push([kind, id]),
    },
    log: pino({}, { write: (line: string) => void lines.push(JSON.parse(line)) }),
  }
  const call = {
    requestId: 'r1',
    owner: { userId: 'user_a', projectId: null },
    policy: callPolicyOf(undefined, anyRules),
    model,
    routes,
    path: '/chat/completions' as const,
    body: { model: 'public', messages: ['a secret prompt'] },
    signal: new AbortController().signal,
  }
  return { deps, call, asked, lines, told, run: () => callForJson(deps, call) }
}

describe('routes are tried in their order', () => {
  test.each<[string, Record<string, Answer>, string, number]>([
    ['the first', {}, 'a', 0],
    ['the next where one is unavailable', { a: failing('unavailable') }, 'b', 1],
    ['the next where one is at its limit', { a: failing('rate_limited') }, 'b', 1],
    ['the next where one is late', { a: failing('timeout') }, 'b', 1],
    ['the next where one refuses our key', { a: failing('refused', { status: 401 }) }, 'b', 1],
    ['the next where one does not know the model', { a: failing('unknown_model') }, 'b', 1],
    ['the last where two fail', { a: failing('timeout'), b: failing('unavailable') }, 'c', 2],
  ])('%s', async (_what, answers, from, fallbackCount) => {
    for (const send of [callForJson, callForEvents]) {
      const { deps, call, asked } = routing([a, b, c], answers)
      expect(await send(deps, call)).toMatchObject({ route: { upstream: { id: from } }, fallbackCount })
      expect(asked.at(-1)).toEqual([from, `${from}-model`])
      expect(asked).toHaveLength(fallbackCount + 1)
    }
  })
})

describe('where none answers', () => {
  const limited = (retryAfterSeconds: number) => failing('rate_limited', { retryAfterSeconds })
  test.each<[string, Answer[], number, string, number]>([
    ['all at their limit', [limited(9), limited(4), limited(7)], 429, 'rate_limit_exceeded', 4],
    [
      'one at its limit, others away',
      [limited(9), failing('unavailable'), failing('timeout')],
      503,
      'service_unavailable',
      9,
    ],
    ['all away', [failing('unavailable'), failing('timeout'), failing('unavailable')], 503, 'service_unavailable', 5],
    ['all refusing us', [failing('refused'), failing('refused'), failing('refused')], 503, 'service_unavailable', 5],
    [
      'away for a told time',
      [failing('unavailable', { retryAfterSeconds: 30 }), failing('timeout'), failing('timeout')],
      503,
      'service_unavailable',
      30,
    ],
  ])('%s', async (_what, [one, two, three], status, code, retryAfterSeconds) => {
    const { run } = routing([a, b, c], { a: one ?? 'fine', b: two ?? 'fine', c: three ?? 'fine' })
    expect(await rejectedBy(DomainError, run())).toMatchObject({ status, code, retryAfterSeconds })
  })
})

describe('what no other route could do better', () => {
  test.each<[string, UpstreamFailure, string, string]>([
    [
      'a rejected request, in words of ours',
      failing('rejected', { status: 400, detail: 'seed is odd' }),
      'rejected_by_model',
      'The model does not accept this request.',
    ],
    [
      'a rejected request without words',
      failing('rejected'),
      'rejected_by_model',
      'The model does not accept this request.',
    ],
    [
      'too long a context by its code',
      failing('rejected', { code: 'context_length_exceeded', detail: 'too long' }),
      'context_length_exceeded',
      'The request is too long for the model.',
    ],
    [
      'too long a context by its words',
      failing('rejected', { detail: "This model's maximum context length is 10" }),
      'context_length_exceeded',
      'The request is too long for the model: 10 tokens at most.',
    ],
  ])('is a 400 at once: %s', async (_what, failure, type, message) => {
    const { run, asked } = routing([a, b], { a: failure })
    expect(await rejectedBy(DomainError, run())).toMatchObject({ status: 400, type, message })
    expect(asked).toHaveLength(1)
  })

  test('is a client that left', async () => {
    const { run, asked, lines } = routing([a, b], { a: failing('aborted') })
    expect((await rejectedBy(UpstreamFailure, run())).kind).toBe('aborted')
    expect([asked.length, lines.length]).toEqual([1, 0])
  })

  test('is a fault of ours', async () => {
    const { run, asked } = routing([a, b], { a: new TypeError('ours') })
    await expect(run()).rejects.toThrow('ours')
    expect(asked).toHaveLength(1)
  })
})

describe('the log', () => {
  test.each<[UpstreamFailureKind, number, RegExp]>([
    ['refused', 50, /operator must look/],
    ['unavailable', 40, /failed/],
    ['rate_limited', 40, /failed/],
    ['unknown_model', 40, /failed/],
  ])('of a call that was %s', async (kind, level, text) => {
    const { run, lines } = routing([a, b], { a: failing(kind, { detail: 'a secret prompt', status: 401 }) })
    await run()
    expect(lines).toEqual([expect.objectContaining({ level, kind, upstream: 'a', model: 'a-model', requestId: 'r1' })])
    expect(lines[0]?.msg).toMatch(text)
    expect(JSON.stringify(lines)).not.toContain('secret')
  })
})

test('a route whose circuit is open is passed over without a call', async () => {
  const { run, asked } = routing([a, b], { a: failing('unavailable') })
  for (let time = 0; time < 5; time += 1) await run()
  asked.length = 0
  expect(await run()).toMatchObject({ route: { upstream: { id: 'b' } }, fallbackCount: 1 })
  expect(asked.map(([id]) => id)).toEqual(['b'])
})

test("what calls over the caller's own keys tell is kept of the credential, and is no operator's matter", async () => {
  const own = { ...a, credentialId: 'cred_1' }
  const { run, told, lines } = routing([own, { ...b, credentialId: 'cred_2' }], { a: failing('refused') })
  await run()
  expect(told).toEqual([
    ['refused', 'cred_1'],
    ['succeeded', 'cred_2'],
  ])
  expect(lines.map(({ level }) => level)).toEqual([40])
})
