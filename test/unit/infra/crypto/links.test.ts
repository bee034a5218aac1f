import { afterEach, describe, expect, jest, test } from '@jest/globals'
import { randomBytes } from 'node:crypto'
import { signLink, verifyLink, type LinkTarget, type SigningKeys } from '../../../../infra/crypto/links.ts'

const newKey = (id: string) => ({ id, bytes: randomBytes(32) })
const keys: SigningKeys = [newKey('k1')]
const target: LinkTarget = {
  purpose: 'video',
  method: 'GET',
  path: '/v1/videos/a/content',
  claims: { w: '8', a: 'x y' },
}

const queryOf = (link: string) => {
  const { searchParams } = new URL(link)
  return { expires: Number(searchParams.get('expires')), signature: searchParams.get('signature') ?? '' }
}
const linkFor = (changes: Partial<LinkTarget> = {}, withKeys = keys) =>
  signLink(withKeys, 'https://host', { ...target, ...changes }, 60)

afterEach(() => {
  jest.useRealTimers()
})

describe('a signed link', () => {
  test('names its path, its claims and its end', () => {
    expect(linkFor()).toMatch(
      /^https:\/\/host\/v1\/videos\/a\/content\?w=8&a=x\+y&expires=\d{10}&signature=k1\.[\w-]{43}$/,
    )
  })

  test('is good for what it was made for, HEAD included', () => {
    const query = queryOf(linkFor())
    expect(verifyLink(keys, target, query)).toBe(true)
    expect(verifyLink(keys, { ...target, method: 'HEAD' }, query)).toBe(true)
    expect(verifyLink(keys, { ...target, claims: { a: 'x y', w: '8' } }, query)).toBe(true)
  })

  test.each<[string, Partial<LinkTarget>]>([
    ['another purpose', { purpose: 'file' }],
    ['another method', { method: 'PUT' }],
    ['another path', { path: '/v1/videos/b/content' }],
    ['another claim', { claims: { w: '9', a: 'x y' } }],
    ['no claims', { claims: {} }],
    ['a claim more', { claims: { w: '8', a: 'x y', b: '' } }],
    ['claims whose parts are moved', { claims: { w: '8,a', ' y': 'x' } }],
  ])('is not good for %s', (_, changes) => {
    expect(verifyLink(keys, { ...target, ...changes }, queryOf(linkFor()))).toBe(false)
  })

  test('is refused once anything that proves it is changed', () => {
    const { expires, signature } = queryOf(linkFor())
    const wrong = [
      {},
      { expires },
      { signature },
      { expires: expires + 1, signature },
      { expires: Number.NaN, signature },
      { expires: Infinity, signature },
      ...['', 'k1', 'k1.', signature.slice(3), `k2.${signature.slice(3)}`, `${signature}=`, `${signature}A`].map(
        other => ({ expires, signature: other }),
      ),
      { expires, signature: `${signature.slice(0, -1)}!` },
      { expires, signature: 'ü'.repeat(30) },
    ]
    for (const query of wrong) expect(verifyLink(keys, target, query)).toBe(false)
  })

  test('ends when it expires', () => {
    jest.useFakeTimers({ now: Date.parse('2026-11-28T08:00:00.500Z') })
    const query = queryOf(linkFor())
    jest.setSystemTime(Date.parse('2026-11-28T08:00:59.999Z'))
    expect(verifyLink(keys, target, query)).toBe(true)
    jest.setSystemTime(Date.parse('2026-11-28T08:01:00.000Z'))
    expect(verifyLink(keys, target, query)).toBe(false)
  })

  test.each([0, -1, 1.5, 604_801, Number.NaN])('cannot live for %p seconds', seconds => {
    expect(() => signLink(keys, 'https://host', target, seconds)).toThrow(RangeError)
  })
})

test('keys are changed without breaking links: the first signs, those that are left verify', () => {
  const old = queryOf(linkFor())
  const [first] = keys
  const both: SigningKeys = [newKey('k2'), first]
  expect(verifyLink(both, target, old)).toBe(true)
  const fresh = queryOf(linkFor({}, both))
  expect(fresh.signature).toMatch(/^k2\./)
  expect(verifyLink(both, target, fresh)).toBe(true)
  expect(verifyLink([both[0]], target, old)).toBe(false)
  // A new key under an old id is another key.
  expect(verifyLink([newKey('k1')], target, old)).toBe(false)
})
