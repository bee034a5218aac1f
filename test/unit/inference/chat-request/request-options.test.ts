import { describe, expect, test } from '@jest/globals'
import type { PublicRequestMetadata } from '../../../../domain/inference/metadata/metadata.schema.ts'
import type { ChatCompletionRequest } from '../../../../domain/inference/chat-request/chat.schema.ts'
import { boundedRequest } from '../../../../domain/inference/chat-request/request-options.rules.ts'
import type { DomainError } from '../../../../domain/core/errors.ts'
import { launchModel, thrownBy } from '../../fixtures.ts'

/** One USD a million tokens in, two out: a token of output costs 2,000 nano-USD. */
const model = {
  ...launchModel('openai/gpt-5-nano'),
  price: { input: 1, cached_input: 1, output: 2 },
  max_output_tokens: 1_000,
}

const asked = (metadata: PublicRequestMetadata | null | undefined, changes: object = {}): ChatCompletionRequest => ({
  model: model.id,
  messages: [{ role: 'user', content: 'hello' }],
  ...(metadata === undefined ? {} : { metadata }),
  ...changes,
})

describe('a request as its metadata bounds it', () => {
  test.each<[string, PublicRequestMetadata | null | undefined, object, object]>([
    ['no metadata', undefined, {}, {}],
    ['null', null, {}, {}],
    ['the most output', { max_output_tokens: 10 }, {}, { max_completion_tokens: 10 }],
    ['the smaller of two', { max_output_tokens: 10 }, { max_completion_tokens: 7 }, { max_completion_tokens: 7 }],
    ['the larger of two', { max_output_tokens: 5 }, { max_completion_tokens: 7 }, { max_completion_tokens: 5 }],
    ['the old name', { max_output_tokens: 5 }, { max_tokens: 7 }, { max_tokens: 5 }],
    ['an effort', { reasoning_effort: 'high' }, {}, { reasoning_effort: 'high' }],
    ['an effort of its own', { reasoning_effort: 'high' }, { reasoning_effort: 'low' }, { reasoning_effort: 'low' }],
    ['a cost beyond any output', { max_cost_usd: 1 }, {}, { max_completion_tokens: 1_000 }],
  ])('%s', (_what, metadata, changes, expected) => {
    expect(boundedRequest(asked(metadata, changes), model)).toEqual({ ...asked(metadata, changes), ...expected })
  })

  test('a cost is so many tokens, shared by the choices', () => {
    // The input is estimated at 14 tokens: 14,000 nano-USD of the 100,000 are its own.
    const { max_completion_tokens: alone } = boundedRequest(asked({ max_cost_usd: 0.0001 }), model)
    expect(alone).toBeGreaterThan(35)
    expect(alone).toBeLessThanOrEqual(50)
    const { max_completion_tokens: shared } = boundedRequest(asked({ max_cost_usd: 0.0001 }, { n: 2 }), model)
    expect(shared).toBe(Math.floor((alone ?? 0) / 2))
  })

  test('a cost that the input alone exceeds is refused', () => {
    expect(thrownBy(() => boundedRequest(asked({ max_cost_usd: 0.000_001 }), model))).toMatchObject({
      status: 400,
      param: 'metadata.max_cost_usd',
    } satisfies Partial<DomainError>)
  })
})
