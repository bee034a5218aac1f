import { expect, test } from '@jest/globals'
import { mayUseModel } from '../../../../domain/core/caller.rules.ts'
import { keyRefusal, type KeyState } from '../../../../domain/tenancy/keys/key.rules.ts'
import { anyRules } from '../../fixtures.ts'

test.each<[string[] | null, string, boolean]>([
  [null, 'anything', true],
  [[], 'grok-4.3', false],
  [['grok-4.3'], 'grok-4.3', true],
  [['grok-4.3'], 'grok-4.3-mini', false],
  [['grok-4.3'], 'GROK-4.3', false],
  [['a', 'b'], 'b', true],
])('a key for %j may use %s: %s', (allowedModels, model, may) => {
  expect(mayUseModel({ ...anyRules, allowedModels }, model)).toBe(may)
})

const nowMs = 1_000_000
const good: KeyState = { revokedAt: null, expiresAt: null, userDisabledAt: null }
const past = new Date(nowMs - 1)

test.each<[string, Partial<KeyState>, RegExp]>([
  ['a plain one', {}, /^none$/],
  ['one that expires later', { expiresAt: new Date(nowMs + 1) }, /^none$/],
  ['one that expires now', { expiresAt: new Date(nowMs) }, /expired/],
  ['one that has expired', { expiresAt: past }, /expired/],
  ['one that was revoked', { revokedAt: past }, /revoked/],
  ['one of a disabled account', { userDisabledAt: past }, /disabled/],
  ['one that is revoked and expired', { revokedAt: past, expiresAt: past }, /revoked/],
])('a key, %s', (_what, state, refusal) => {
  const reason = keyRefusal({ ...good, ...state }, nowMs)
  expect(reason ?? 'none').toMatch(refusal)
})
