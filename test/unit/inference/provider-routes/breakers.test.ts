import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals'
import type { ProviderRoute } from '../../../../domain/inference/catalog/catalog.ts'
import { createBreakers, type Breakers } from '../../../../domain/inference/provider-routes/breakers.ts'
import { UpstreamFailure, type UpstreamFailureKind } from '../../../../infra/upstreams/upstream.ts'
import { deferred, rejectedBy } from '../../fixtures.ts'

const upstream = { id: 'a', baseUrl: 'http://a', apiKey: undefined, external: true }
const route: ProviderRoute = { upstream, model: 'm' }

const clock = { nowMs: 0 }
beforeEach(() => {
  clock.nowMs = 1_000_000
  jest.spyOn(Date, 'now').mockImplementation(() => clock.nowMs)
})
afterEach(() => void jest.restoreAllMocks())

async function fail(breakers: Breakers, kind: UpstreamFailureKind, times = 1, on = route): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const failure = new UpstreamFailure(kind, 'x')
    await expect(breakers.run(on, () => Promise.reject(failure))).rejects.toBe(failure)
  }
}
const succeed = (breakers: Breakers) => breakers.run(route, () => Promise.resolve('fine'))

async function opened(): Promise<Breakers> {
  const breakers = createBreakers()
  await fail(breakers, 'unavailable', 5)
  return breakers
}

describe('five failures in a row open the circuit', () => {
  test.each<[UpstreamFailureKind, boolean]>([
    ['unavailable', true],
    ['timeout', true],
    ['refused', true],
    ['unknown_model', true],
    ['rejected', false],
    ['rate_limited', false],
    ['aborted', false],
  ])('where they are %s: %s', async (kind, opens) => {
    const breakers = createBreakers()
    await fail(breakers, kind, 4)
    expect(breakers.healthOf(route)).toBe('good')
    await fail(breakers, kind)
    expect(breakers.healthOf(route)).toBe(opens ? 'broken' : 'good')
  })

  test('not where a success comes between', async () => {
    const breakers = createBreakers()
    await fail(breakers, 'unavailable', 4)
    await expect(succeed(breakers)).resolves.toBe('fine')
    await fail(breakers, 'unavailable', 4)
    expect(breakers.healthOf(route)).toBe('good')
  })

  test('of that upstream and model alone', async () => {
    const breakers = await opened()
    expect(breakers.healthOf({ upstream, model: 'other' })).toBe('good')
    expect(breakers.healthOf({ upstream, model: 'm', credentialId: 'cred_1' })).toBe('good')
    expect(breakers.healthOf({ upstream: { ...upstream, id: 'b' }, model: 'm' })).toBe('good')
    expect(breakers.healthOf({ upstream: { ...upstream }, model: 'm' })).toBe('broken')
  })

  test('and not where the fault is ours', async () => {
    const breakers = createBreakers()
    for (let time = 0; time < 6; time += 1) {
      await expect(breakers.run(route, () => Promise.reject(new TypeError('ours')))).rejects.toThrow('ours')
    }
    expect(breakers.healthOf(route)).toBe('good')
  })
})

describe('an open circuit', () => {
  test('asks nobody, and says when to come again', async () => {
    const breakers = await opened()
    clock.nowMs += 9_999
    const call = jest.fn(() => Promise.resolve('fine'))
    const failure = await rejectedBy(UpstreamFailure, breakers.run(route, call))
    expect(failure).toMatchObject({ kind: 'unavailable', retryAfterSeconds: 5 })
    expect(call).not.toHaveBeenCalled()
  })

  test('lets one call try after ten seconds, and closes where that succeeds', async () => {
    const breakers = await opened()
    clock.nowMs += 9_999
    expect(breakers.healthOf(route)).toBe('broken')
    clock.nowMs += 1
    expect(breakers.healthOf(route)).toBe('recovering')
    await expect(succeed(breakers)).resolves.toBe('fine')
    expect(breakers.healthOf(route)).toBe('good')
    await fail(breakers, 'unavailable', 4)
    expect(breakers.healthOf(route)).toBe('good')
  })

  test('stays open for ten more where that fails', async () => {
    const breakers = await opened()
    clock.nowMs += 10_000
    await fail(breakers, 'timeout')
    expect(breakers.healthOf(route)).toBe('broken')
    clock.nowMs += 9_999
    await rejectedBy(UpstreamFailure, succeed(breakers))
    clock.nowMs += 1
    await expect(succeed(breakers)).resolves.toBe('fine')
  })

  test('lets no other wait for the one that tries', async () => {
    const breakers = await opened()
    clock.nowMs += 10_000
    const reply = deferred<string>()
    const trying = breakers.run(route, () => reply.promise)
    expect(breakers.healthOf(route)).toBe('recovering')
    const other = jest.fn(() => Promise.resolve('fine'))
    expect((await rejectedBy(UpstreamFailure, breakers.run(route, other))).kind).toBe('unavailable')
    expect(other).not.toHaveBeenCalled()
    reply.resolve('back')
    await expect(trying).resolves.toBe('back')
    expect(breakers.healthOf(route)).toBe('good')
  })
})
