import { describe, expect, test } from '@jest/globals'
import { readFileSync } from 'node:fs'
import { ALGORITHM, authorizationOf } from '../../../../api/http/auth/sigv4/authorization.ts'
import {
  canonicalRequest,
  sha256Hex,
  signatureOver,
  signingKeyOf,
  type RawRequest,
} from '../../../../api/http/auth/sigv4/canonical.ts'
import { verifySigV4 } from '../../../../api/http/auth/sigv4/verify.ts'

interface Vector {
  name: string
  secret: string
  request: string
  canonical: string
  stringToSign: string
  signature: string
}
const FILE = new URL('../../../fixtures/sigv4/aws-signing-test-suite.json', import.meta.url)
const suite = JSON.parse(readFileSync(FILE, 'utf8')) as { vectors: Vector[] }

/** A request of the suite: folded header lines go on with spaces. */
function parse(text: string): RawRequest {
  const [head = ''] = text.split('\n\n')
  const [first = '', ...lines] = head.split('\n')
  const [, method = '', target = ''] = /^(\S+) (.*) HTTP\/1\.1$/.exec(first) ?? []
  const rawHeaders: string[] = []
  for (const line of lines) {
    const colon = line.indexOf(':')
    if (/^\s/.test(line)) rawHeaders.push(`${rawHeaders.pop() ?? ''}\n${line}`)
    else rawHeaders.push(line.slice(0, colon), line.slice(colon + 1))
  }
  return { method, target, rawHeaders }
}

describe("AWS's signing test suite", () => {
  test.each(suite.vectors)('$name', ({ request: text, canonical, stringToSign, signature, secret }) => {
    const request = parse(text)
    const authorization = authorizationOf(request)
    if (authorization === undefined) throw new Error('the vector is not signed')
    const made = canonicalRequest(request, authorization.signedHeaders, canonical.split('\n').at(-1) ?? '')
    expect(made).toBe(canonical)
    expect(sha256Hex(made)).toBe(stringToSign.split('\n').at(-1))
    const key = signingKeyOf(secret, authorization.scope)
    expect(signatureOver(key, ALGORITHM, authorization.scope, [sha256Hex(made)])).toBe(signature)
    expect(authorization.signature).toBe(signature)
  })

  const withoutBody = suite.vectors.filter(
    one => one.name.endsWith('(header)') && !one.canonical.includes('content-length'),
  )
  test.each(withoutBody)('$name is let in', async ({ request: text, secret }) => {
    const verified = verifySigV4(parse(text), {
      region: 'us-east-1',
      service: 'service',
      now: () => new Date('2015-08-30T12:40:00Z'),
      findKey: async id => (id === 'AKIDEXAMPLE' ? { secret, principal: 'somebody' } : undefined),
    })
    expect(await verified).toMatchObject({ principal: 'somebody', accessKeyId: 'AKIDEXAMPLE' })
  })
})
