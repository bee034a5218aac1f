import { readFileSync } from 'node:fs'
import { describe, expect, test } from '@jest/globals'
import type { EstimateResponse } from '../../../domain/inference/estimate/estimate.schema.ts'
import { callAt, insertPastCalls } from '../../support/calls.ts'
import { testDatabase } from '../../support/database.ts'
import { expectError } from '../../support/errors.ts'
import { rowCounts } from '../../support/row-counts.ts'
import { newTenant } from '../../support/tenants.ts'

interface Published {
  source: string
  model: string
  published_prompt_tokens: number
  request: object
}

const db = testDatabase()
const PUBLISHED = JSON.parse(
  readFileSync(new URL('../../fixtures/published-usage.json', import.meta.url), 'utf8'),
) as Published[]
const hello = (body: object = {}) => ({ model: 'test/plain', messages: [{ role: 'user', content: 'hello' }], ...body })

/** A PNG of this size, as far as its header. */
function pngUrl(width: number, height: number): string {
  const bytes = Buffer.alloc(33)
  bytes.set([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])
  bytes.writeUInt32BE(13, 8)
  bytes.write('IHDR', 12, 'latin1')
  bytes.writeUInt32BE(width, 16)
  bytes.writeUInt32BE(height, 20)
  return `data:image/png;base64,${bytes.toString('base64')}`
}

describe('an estimate', () => {
  test.each(PUBLISHED)('is within 5% of what is published: $source', async ({ model, request, ...published }) => {
    const { api } = await newTenant(db)
    const { body, status } = await api.post<EstimateResponse>('/estimate', { model, ...request })
    expect(status).toBe(200)
    const counted = body.estimated_prompt_tokens
    expect(Math.abs(counted / published.published_prompt_tokens - 1)).toBeLessThanOrEqual(0.05)
    expect((body.warnings ?? []).filter(warning => warning.includes('tokenizer'))).toEqual([])
  })

  test('counts an image by its size', async () => {
    const { api } = await newTenant(db)
    const ask = async (parts: object[]) =>
      (
        await api.post<EstimateResponse>('/estimate', {
          model: 'openai/gpt-5.4',
          messages: [{ role: 'user', content: [{ type: 'text', text: 'What is in this image?' }, ...parts] }],
        })
      ).body
    const plain = await ask([])
    // 2560 x 1707, as the example of OpenAI's API reference, whose usage is 1,117 prompt tokens.
    const pictured = await ask([{ type: 'image_url', image_url: { url: pngUrl(2_560, 1_707) } }])
    expect(Math.abs(pictured.estimated_prompt_tokens / 1_117 - 1)).toBeLessThanOrEqual(0.05)
    expect(pictured.estimated_prompt_tokens - plain.estimated_prompt_tokens).toBe(1_105)
    expect(pictured.warnings?.join()).toContain('Images')
  })

  test('is priced by the card, costs nothing and leaves nothing behind', async () => {
    const tenant = await newTenant(db)
    const before = await rowCounts(db, tenant.userId)
    const { body, headers } = await tenant.api.post<EstimateResponse>('/estimate', hello({ max_tokens: 100 }))
    const prompt = body.estimated_prompt_tokens
    const costUsd = (prompt * 1 + 100 * 2) / 1_000_000
    expect(body).toMatchObject({
      object: 'ipop.estimate',
      kind: 'chat',
      estimated_completion_tokens: 100,
      estimated_total_tokens: prompt + 100,
      input_token_rate: 1,
      output_token_rate: 2,
      within_context_window: true,
      pricing: { uncached_input_tokens: prompt, output_tokens: 100, service_tier: 'standard' },
      ipop: { request_id: headers.get('x-request-id'), cost_usd: 0 },
    })
    expect(body.estimated_cost_usd).toBeCloseTo(costUsd, 9)
    expect(body.warnings?.join()).toContain('no public tokenizer')
    expect(await rowCounts(db, tenant.userId)).toEqual(before)
  })

  test('takes the output from its limits, else from the calls of the account, else assumes it', async () => {
    const tenant = await newTenant(db)
    const outputOf = async (body: object = {}) =>
      (await tenant.api.post<EstimateResponse>('/estimate', hello(body))).body.estimated_completion_tokens
    expect(await outputOf()).toBe(500)
    await insertPastCalls(db, [
      callAt(tenant, new Date(), { usage: { input: 1, output: 30 } }),
      callAt(tenant, new Date(), { usage: { input: 1, output: 60 } }),
      callAt(tenant, new Date(), { usage: { input: 1, output: 900 }, model: 'test/other' }),
    ])
    expect(await outputOf()).toBe(45)
    expect(await outputOf({ max_completion_tokens: 7 })).toBe(7)
    expect(await outputOf({ max_completion_tokens: 7, metadata: { max_output_tokens: 5 } })).toBe(5)
    expect(await outputOf({ max_tokens: 5_000 })).toBe(1_000)
  })

  test('says where the input is too long', async () => {
    const { api } = await newTenant(db)
    const messages = [{ role: 'user', content: 'word '.repeat(100) }]
    const { body } = await api.post<EstimateResponse>('/estimate', { model: 'test/small-window', messages })
    expect(body.within_context_window).toBe(false)
    expect(body.warnings?.join()).toContain('window of 50 tokens')
  })

  test.each<[string, object, number, string]>([
    ['chat without messages', { model: 'test/plain', input: 'x' }, 400, 'messages'],
    ['embeddings without input', { model: 'test/embed', messages: [{ role: 'user', content: 'x' }] }, 400, 'input'],
    ['an unknown model', hello({ model: 'no/such' }), 404, 'model'],
    [
      'an image for a model that sees none',
      {
        model: 'test/bare',
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }] }],
      },
      400,
      'messages.0.content.0',
    ],
  ])('refuses %s', async (_, body, status, param) => {
    const { api } = await newTenant(db)
    expectError(await api.post('/estimate', body), status, { param })
  })
})
