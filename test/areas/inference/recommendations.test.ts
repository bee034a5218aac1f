import { describe, expect, test } from '@jest/globals'
import type { ModelRecommendationResponse } from '../../../domain/inference/recommendations/recommendation.schema.ts'
import { apiClient } from '../../support/client.ts'
import { testDatabase } from '../../support/database.ts'
import { newTenant } from '../../support/tenants.ts'

const db = testDatabase()
const publicApi = apiClient(undefined)
const recommend = async (body: object, api = publicApi) => {
  const reply = await api.post<ModelRecommendationResponse>('/model-recommendations', body)
  expect(reply.status).toBe(200)
  return reply.body.recommendations
}

describe('recommendations', () => {
  test('need no key, are few, the best first, and the same each time', async () => {
    const first = await recommend({ task: 'refactor a TypeScript function', quality_tier: 'balanced' })
    expect(first).toHaveLength(5)
    expect(first.map(one => one.score)).toEqual(first.map(one => one.score).toSorted((a, b) => b - a))
    expect(await recommend({ task: 'refactor a TypeScript function', quality_tier: 'balanced' })).toEqual(first)
    for (const { score, reason } of first) {
      const points = [...reason.matchAll(/[+-][\d.]+(?= )/g)].map(([number]) => Number(number))
      const sum = points.reduce((total, number) => total + number, 0)
      expect(Math.abs(sum - score)).toBeLessThanOrEqual(0.3)
      expect(reason).toContain('recommended for coding')
    }
  })

  test('are what is required, and no more than it may cost', async () => {
    const all = await recommend({ require_vision: true, require_tools: true, max_cost_per_million_output_usd: 1.2 })
    expect(all.length).toBeGreaterThan(0)
    for (const { model, output_token_rate } of all) {
      expect(output_token_rate).toBeLessThanOrEqual(1.2)
      const { body } = await publicApi.get(`/models/${encodeURIComponent(model)}?include_unavailable=true`)
      expect(body).toMatchObject({ supports_vision: true, supports_tools: true })
    }
    expect(await recommend({ max_input_tokens: 2_000_000_000 })).toEqual([])
  })

  test('prefer what was asked for', async () => {
    const [fast] = await recommend({ task: 'chat', prefer_low_latency: true })
    expect(fast?.latency_class).toBe('low')
    const [premium] = await recommend({ quality_tier: 'premium', task: 'reasoning' })
    expect(premium?.output_token_rate).toBeGreaterThan(10)
    const [cheap] = await recommend({ quality_tier: 'low_cost', task: 'classify tickets in a nightly batch' })
    expect(cheap?.output_token_rate).toBeLessThanOrEqual(2)
    const [embedding] = await recommend({ task: 'embed documents for retrieval' })
    expect(embedding?.model).toBe('terminaili/embed-balanced')
  })

  test('leave out what cannot be used now, unless asked, and say so', async () => {
    const { api } = await newTenant(db, { allowedModels: ['test/unrouted', 'test/plain'] })
    expect((await recommend({}, api)).map(one => one.model)).toEqual(['test/plain'])
    const all = await recommend({ include_unavailable: true }, api)
    expect(all.map(one => [one.model, one.available])).toEqual([
      ['test/plain', true],
      ['test/unrouted', false],
    ])
    expect(all[1]?.reason).toContain('not enabled here')
  })
})
