import { describe, expect, test } from '@jest/globals'
import {
  keyChange,
  lastErrorOf,
  maskedKey,
  testMessage,
} from '../../../../domain/inference/provider-credentials/credential.rules.ts'

test.each([
  ['sk-proj-0123456789abcdef', 'sk-…cdef'],
  ['x'.repeat(20), 'xxx…xxxx'],
  ['x'.repeat(19), '…'],
  ['12345678', '…'],
])('%s is shown as %s', (key, shown) => {
  expect(maskedKey(key)).toBe(shown)
})

describe('what becomes of the key', () => {
  const [here, there] = ['https://a.test/v1', 'https://b.test/v1']
  test.each<[string | null, string | null | undefined, string | undefined, string]>([
    [here, undefined, undefined, 'keep'],
    [here, here, undefined, 'keep'],
    [null, null, undefined, 'keep'],
    [here, there, undefined, 'drop'],
    [here, null, undefined, 'drop'],
    [null, here, undefined, 'drop'],
    [here, there, 'sk-new', 'replace'],
    [here, undefined, 'sk-new', 'replace'],
  ])('%s changed to %s with the key %s', (baseUrl, next, apiKey, change) => {
    expect(keyChange(baseUrl, { baseUrl: next, apiKey })).toBe(change)
  })
})

describe('what is kept of a failure is a state, a status and a code', () => {
  test.each([
    [{ kind: 'refused', status: 401, code: 'invalid_api_key' }, 'refused (401 invalid_api_key)'],
    [{ kind: 'rate_limited', status: 429 }, 'rate_limited (429)'],
    [{ kind: 'unavailable' }, 'unavailable'],
    [{ kind: 'refused', status: 401, code: 'Incorrect API key: sk-123' }, 'refused (401)'],
    [{ kind: 'refused', status: 401, code: 'sk-0123456789' }, 'refused (401)'],
    [{ kind: 'refused', status: 401, code: 'a'.repeat(31) }, 'refused (401)'],
    [{ kind: 'refused', status: 401, code: 'x_'.repeat(500) }, 'refused (401)'],
    [{ kind: 'refused', status: 401, code: '<script>' }, 'refused (401)'],
  ])('%j', (failure, kept) => {
    expect(lastErrorOf(failure)).toBe(kept)
    expect(testMessage(failure)).toContain(kept)
  })

  test('and a success is told as one', () => {
    expect(testMessage(undefined)).toBe('The provider accepted the key.')
  })
})
