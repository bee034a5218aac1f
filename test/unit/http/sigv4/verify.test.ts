import { describe, expect, test } from '@jest/globals'
import { ALGORITHM } from '../../../../api/http/auth/sigv4/authorization.ts'
import {
  canonicalRequest,
  sha256Hex,
  signatureOver,
  signingKeyOf,
  type RawRequest,
} from '../../../../api/http/auth/sigv4/canonical.ts'
import { SigV4Failure } from '../../../../api/http/auth/sigv4/failure.ts'
import { verifySigV4 } from '../../../../api/http/auth/sigv4/verify.ts'

const SECRET = 'a secret/with+signs'
const NOW = Date.parse('2026-11-28T08:00:00Z')
const SCOPE = { time: '20261128T080000Z', region: 'us-east-1', service: 's3' }

const deps = {
  region: 'us-east-1',
  service: 's3',
  now: () => new Date(NOW),
  findKey: async (id: string) => (id === 'AKIPOP' ? { secret: SECRET, principal: 'somebody' } : undefined),
}
const timeAt = (ms: number) => new Date(ms).toISOString().replaceAll(/[:-]|\.\d{3}/g, '')

interface Signing {
  method?: string
  target?: string
  headers?: Record<string, string>
  time?: string
  region?: string
  service?: string
  secret?: string
  id?: string
  payload?: string
}

/** A request signed in its header, over all its headers. */
function signed(options: Signing = {}): RawRequest {
  const { method = 'GET', target = '/b/k', secret = SECRET, id = 'AKIPOP', payload = 'UNSIGNED-PAYLOAD' } = options
  const scope = { ...SCOPE, ...(options.time !== undefined && { time: options.time }), ...pick(options) }
  const headers = {
    host: 'here',
    'x-amz-date': scope.time,
    'x-amz-content-sha256': payload,
    ...options.headers,
  }
  const names = Object.keys(headers).sort()
  const request = { method, target, rawHeaders: Object.entries(headers).flat() }
  const text = canonicalRequest(request, names, payload)
  const signature = signatureOver(signingKeyOf(secret, scope), ALGORITHM, scope, [sha256Hex(text)])
  return with_(request, { authorization: headerOf(id, scope, names, signature) })
}
const pick = ({ region, service }: Signing) => ({ ...(region && { region }), ...(service && { service }) })
const headerOf = (id: string, { time, region, service }: typeof SCOPE, names: string[], signature: string) =>
  `${ALGORITHM} Credential=${id}/${time.slice(0, 8)}/${region}/${service}/aws4_request, ` +
  `SignedHeaders=${names.join(';')}, Signature=${signature}`
const with_ = (request: RawRequest, headers: Record<string, string>): RawRequest => ({
  ...request,
  rawHeaders: [...request.rawHeaders, ...Object.entries(headers).flat()],
})
const withAuthorization = (header: string): RawRequest => ({
  method: 'GET',
  target: '/b/k',
  rawHeaders: [
    'host',
    'here',
    'x-amz-date',
    SCOPE.time,
    'x-amz-content-sha256',
    'UNSIGNED-PAYLOAD',
    'authorization',
    header,
  ],
})

/** A request signed in its query. */
function presigned(changes: Record<string, string> = {}, target = '/b/k', time = SCOPE.time): RawRequest {
  const scope = { ...SCOPE, time }
  const query = new URLSearchParams({
    'X-Amz-Algorithm': ALGORITHM,
    'X-Amz-Credential': `AKIPOP/${time.slice(0, 8)}/us-east-1/s3/aws4_request`,
    'X-Amz-Date': time,
    'X-Amz-Expires': '60',
    'X-Amz-SignedHeaders': 'host',
    ...changes,
  })
  const request = { method: 'GET', target: `${target}?${query.toString()}`, rawHeaders: ['Host', 'here'] }
  const text = canonicalRequest(request, ['host'], 'UNSIGNED-PAYLOAD')
  const signature = signatureOver(signingKeyOf(SECRET, scope), ALGORITHM, scope, [sha256Hex(text)])
  return { ...request, target: `${request.target}&X-Amz-Signature=${changes['X-Amz-Signature'] ?? signature}` }
}

const verdictOf = async (request: RawRequest, now = NOW): Promise<string> => {
  try {
    const verified = await verifySigV4(request, { ...deps, now: () => new Date(now) })
    return verified?.principal ?? 'nobody'
  } catch (error) {
    if (error instanceof SigV4Failure) return error.awsCode
    throw new Error('no failure of a signature', { cause: error })
  }
}

describe('a request', () => {
  test('that is not signed is nobody', async () => {
    expect(await verdictOf({ method: 'GET', target: '/b/k?a=b', rawHeaders: ['host', 'here'] })).toBe('nobody')
  })

  test('that is signed is let in, in its header and in its query', async () => {
    expect(await verdictOf(signed())).toBe('somebody')
    expect(await verdictOf(presigned())).toBe('somebody')
  })

  test.each([
    '/b/a%20b',
    '/b/a b',
    '/b/a+b',
    '/b/%2F%2f',
    '/b//..//./x',
    '/b/ü',
    '/b/%C3%BC',
    '/b/%FF',
    "/b/'()*!@&=:;,$~",
    '/b/%00',
    '/b/%25',
  ])('for the path %s is let in', async target => {
    expect(await verdictOf(signed({ target }))).toBe('somebody')
    expect(await verdictOf(presigned({}, target))).toBe('somebody')
  })

  test.each<[string, (request: RawRequest) => RawRequest]>([
    ['its method', request => ({ ...request, method: 'DELETE' })],
    ['its path', request => ({ ...request, target: request.target.replace('/b/k', '/b/j') })],
    ['a doubled slash', request => ({ ...request, target: request.target.replace('/b/k', '/b//k') })],
    [
      'a parameter',
      request => ({ ...request, target: `${request.target}${request.target.includes('?') ? '&' : '?'}versionId=1` }),
    ],
    [
      'its host',
      request => ({ ...request, rawHeaders: request.rawHeaders.map(one => (one === 'here' ? 'there' : one)) }),
    ],
  ])('is refused where %s is changed', async (_, change) => {
    expect(await verdictOf(change(signed()))).toBe('SignatureDoesNotMatch')
    expect(await verdictOf(change(presigned()))).toBe('SignatureDoesNotMatch')
  })

  test('is refused where a header that matters is added', async () => {
    expect(await verdictOf(with_(signed(), { 'x-amz-acl': 'public-read' }))).toBe('AccessDenied')
    expect(await verdictOf(with_(presigned(), { 'x-amz-acl': 'public-read' }))).toBe('AccessDenied')
    expect(await verdictOf(with_(signed(), { 'X-AMZ-Date': SCOPE.time }))).toBe('SignatureDoesNotMatch')
    expect(await verdictOf(with_(signed(), { Host: 'there' }))).toBe('InvalidRequest')
    expect(await verdictOf(with_(signed(), { 'user-agent': 'x' }))).toBe('somebody')
  })

  test('of another secret, or an unknown key, is refused', async () => {
    expect(await verdictOf(signed({ secret: 'other' }))).toBe('SignatureDoesNotMatch')
    expect(await verdictOf(signed({ id: 'UNKNOWN' }))).toBe('InvalidAccessKeyId')
  })

  test('for another region or service is refused', async () => {
    expect(await verdictOf(signed({ region: 'eu-west-1' }))).toBe('AuthorizationHeaderMalformed')
    expect(await verdictOf(signed({ service: 'sts' }))).toBe('AuthorizationHeaderMalformed')
  })

  test.each<[number, string]>([
    [-15 * 60, 'somebody'],
    [-15 * 60 - 1, 'RequestTimeTooSkewed'],
    [15 * 60, 'somebody'],
    [15 * 60 + 1, 'RequestTimeTooSkewed'],
    [1e9, 'RequestTimeTooSkewed'],
  ])('%i seconds from now: %s', async (seconds, verdict) => {
    expect(await verdictOf(signed({ time: timeAt(NOW + seconds * 1000) }))).toBe(verdict)
  })

  test('may tell its time by the Date of HTTP', async () => {
    const request = signed({ headers: { date: new Date(NOW).toUTCString() } })
    const at = request.rawHeaders.indexOf('x-amz-date')
    const names = ['date', 'host', 'x-amz-content-sha256']
    const bare = { ...request, rawHeaders: request.rawHeaders.toSpliced(at, 2).slice(0, -2) }
    const text = canonicalRequest(bare, names, 'UNSIGNED-PAYLOAD')
    const signature = signatureOver(signingKeyOf(SECRET, SCOPE), ALGORITHM, SCOPE, [sha256Hex(text)])
    expect(await verdictOf(with_(bare, { authorization: headerOf('AKIPOP', SCOPE, names, signature) }))).toBe(
      'somebody',
    )
    expect(await verdictOf(with_(bare, { authorization: 'AWS4-HMAC-SHA256 x' }))).toBe('AuthorizationHeaderMalformed')
  })

  test('needs the hash of its payload where it has one', async () => {
    expect(await verdictOf(signed({ payload: 'nonsense' }))).toBe('InvalidRequest')
    expect(await verdictOf(signed({ payload: 'A'.repeat(64) }))).toBe('InvalidRequest')
  })
})

describe('a link', () => {
  test.each<[number, string]>([
    [0, 'somebody'],
    [59, 'somebody'],
    [60, 'AccessDenied'],
    [-15 * 60, 'somebody'],
    [-15 * 60 - 1, 'RequestTimeTooSkewed'],
  ])('used %i seconds after its time: %s', async (seconds, verdict) => {
    expect(await verdictOf(presigned(), NOW + seconds * 1000)).toBe(verdict)
  })

  test.each(['0', '-1', '1.5', '604801', '', 'x', '1e3', '99999999999'])(
    'cannot be good for %j seconds',
    async seconds => {
      expect(await verdictOf(presigned({ 'X-Amz-Expires': seconds }))).toBe('AuthorizationQueryParametersError')
    },
  )

  test.each<[string, Record<string, string>]>([
    ['another algorithm', { 'X-Amz-Algorithm': 'AWS4-ECDSA-P256-SHA256' }],
    ['no credential', { 'X-Amz-Credential': '' }],
    ['a credential of another day', { 'X-Amz-Credential': 'AKIPOP/20261127/us-east-1/s3/aws4_request' }],
    ['another region', { 'X-Amz-Credential': 'AKIPOP/20261128/eu-west-1/s3/aws4_request' }],
    ['no time', { 'X-Amz-Date': '' }],
    ['no signed headers', { 'X-Amz-SignedHeaders': '' }],
    ['a signature that is none', { 'X-Amz-Signature': 'x' }],
  ])('with %s is refused', async (_, changes) => {
    expect(await verdictOf(presigned(changes))).toBe('AuthorizationQueryParametersError')
  })

  test('is not signed a second time in its header', async () => {
    const authorization = signed().rawHeaders.at(-1) ?? ''
    expect(await verdictOf(with_(presigned(), { authorization }))).toBe('AuthorizationHeaderMalformed')
  })
})

describe('an Authorization header', () => {
  const good = signed().rawHeaders.at(-1) ?? ''

  test.each<[string]>([
    [''],
    ['Bearer sk-1'],
    ['AWS AKIPOP:signature'],
    ['AWS4-HMAC-SHA256'],
    ['AWS4-HMAC-SHA256 Credential'],
    [good.replace('Signature=', 'Signature=0')],
    [good.replace(/Signature=.*/, `Signature=${'A'.repeat(64)}`)],
    [good.replace('AKIPOP', 'AK/IPOP')],
    [good.replace('AKIPOP', 'A'.repeat(129))],
    [good.replace('20261128', '20261127')],
    [good.replace('aws4_request', 'aws5_request')],
    [good.replace('host;', 'x-z;host;')],
    [good.replace('host;', 'host;host;')],
    [good.replace('host;', 'Host;')],
    [good.replace('host;', ';host;')],
    [
      good.replace(
        'host;',
        `${Array.from({ length: 70 }, (_, at) => `a${String(at).padStart(3, '0')}`).join(';')};host;`,
      ),
    ],
    [`${good}, Signature=${'0'.repeat(64)}`],
    [good.replace(', ', ',,'.repeat(100))],
    [`${good}${' '.repeat(5_000)}`],
  ])('that is not well-formed is a 400: %s', async header => {
    expect(await verdictOf(withAuthorization(header))).toBe('AuthorizationHeaderMalformed')
  })

  test('is refused without what every request has', async () => {
    const missing = (name: string) => {
      const request = signed()
      const at = request.rawHeaders.indexOf(name)
      return { ...request, rawHeaders: request.rawHeaders.toSpliced(at, 2) }
    }
    expect(await verdictOf(missing('host'))).toBe('AccessDenied')
    expect(await verdictOf(missing('x-amz-date'))).toBe('AuthorizationHeaderMalformed')
    expect(
      await verdictOf({ ...signed({ method: 'PUT' }), rawHeaders: missing('x-amz-content-sha256').rawHeaders }),
    ).toBe('SignatureDoesNotMatch')
    expect(await verdictOf(with_(missing('x-amz-content-sha256'), { 'content-length': '5' }))).toBe('InvalidRequest')
  })
})

test.each(['/%', '/%2', '/%zz', '/a?b=%', '/a?%=b', '/%u0041'])('%s is no address', async target => {
  expect(await verdictOf({ ...signed(), target })).toBe('InvalidURI')
})

test('what is too much is refused before it is worked on', async () => {
  const many = Array.from({ length: 200 }, (_, at) => `p${at}=1`).join('&')
  expect(await verdictOf({ ...signed(), target: `/b/k?${many}` })).toBe('InvalidRequest')
  const headers = Object.fromEntries(Array.from({ length: 200 }, (_, at) => [`h${at}`, 'x']))
  expect(await verdictOf(with_(signed(), headers))).toBe('InvalidRequest')
})
