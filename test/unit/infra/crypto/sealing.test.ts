import { randomBytes } from 'node:crypto'
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createSecretBox, UnopenableSecret } from '../../../../infra/crypto/sealing.ts'

const key = (id: string) => ({ id, bytes: randomBytes(32) })
const [k1, k2] = [key('k1'), key('k2')]
const box = createSecretBox([k1])
const SECRET = 'sk-0123456789abcdef'
const CONTEXT = ['user_a', 'cred_1']

test('what was sealed opens again, whatever it was', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), fc.array(fc.string()), (secret, context) => {
      expect(box.open(box.seal(secret, context), context)).toBe(secret)
    }),
  )
})

test('the bytes show nothing of it, and differ each time', () => {
  const [one, other] = [box.seal(SECRET, CONTEXT), box.seal(SECRET, CONTEXT)]
  expect(one.keyId).toBe('k1')
  expect(one.bytes.equals(other.bytes)).toBe(false)
  expect(one.bytes.subarray(0, 12).equals(other.bytes.subarray(0, 12))).toBe(false)
  expect(one.bytes.toString('latin1')).not.toContain(SECRET.slice(3, 8))
})

describe('does not open', () => {
  const sealed = box.seal(SECRET, CONTEXT)
  const expectRefused = (open: () => string) => expect(open).toThrow(UnopenableSecret)

  test('with any bit changed', () => {
    for (let index = 0; index < sealed.bytes.length; index += 1) {
      const bytes = Buffer.from(sealed.bytes)
      bytes.writeUInt8(bytes.readUInt8(index) ^ 1, index)
      expectRefused(() => box.open({ ...sealed, bytes }, CONTEXT))
    }
  })

  test('cut short, at any length', () => {
    for (let length = 0; length < sealed.bytes.length; length += 1) {
      expectRefused(() => box.open({ ...sealed, bytes: sealed.bytes.subarray(0, length) }, CONTEXT))
    }
  })

  test.each([
    ["another owner's", ['user_b', 'cred_1']],
    ["another credential's", ['user_a', 'cred_2']],
    ['parts divided otherwise', ['user_ac', 'red_1']],
    ['a part less', ['user_a']],
    ['a part more', ['user_a', 'cred_1', '']],
    ['none', []],
  ])('in another context: %s', (_, context) => {
    expectRefused(() => box.open(sealed, context))
  })

  test('with another key of the same id, or without the key', () => {
    expectRefused(() => createSecretBox([key('k1')]).open(sealed, CONTEXT))
    expectRefused(() => createSecretBox([k2]).open(sealed, CONTEXT))
    expectRefused(() => createSecretBox([k1, k2]).open({ ...sealed, keyId: 'k2' }, CONTEXT))
  })

  test('and says no secret', () => {
    const thrown = () => createSecretBox([key('k1')]).open(sealed, CONTEXT)
    expect(thrown).toThrow(/^what the secrets key k1 sealed was changed, or is another's$/)
  })
})

test('the first key seals, all of them open', () => {
  const old = box.seal(SECRET, CONTEXT)
  const rotated = createSecretBox([k2, k1])
  expect(rotated.keyId).toBe('k2')
  expect(rotated.open(old, CONTEXT)).toBe(SECRET)
  const renewed = rotated.seal(SECRET, CONTEXT)
  expect(renewed.keyId).toBe('k2')
  expect(createSecretBox([k2]).open(renewed, CONTEXT)).toBe(SECRET)
})
