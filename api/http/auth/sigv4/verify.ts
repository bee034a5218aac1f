import { randomBytes, timingSafeEqual } from 'node:crypto'
import { ALGORITHM, authorizationOf, type Authorization } from './authorization.ts'
import {
  canonicalRequest,
  headersOf,
  sha256Hex,
  signatureOver,
  signingKeyOf,
  type RawRequest,
  type Scope,
} from './canonical.ts'
import { SigV4Failure } from './failure.ts'

/** A request whose signature is good. Of its body nothing is proven yet: `verifiedBody`. */
export interface SignedRequest<Principal> {
  principal: Principal
  accessKeyId: string
  /** x-amz-content-sha256, or what stands for it. */
  payloadHash: string
  /** What the signatures of chunks go on from. */
  seed: { key: Buffer; scope: Scope; signature: string }
}

export interface SigV4Deps<Principal> {
  region: string
  service: string
  /** Undefined for an unknown or ended key. */
  findKey(accessKeyId: string): Promise<{ secret: string; principal: Principal } | undefined>
  now(): Date
}

const SKEW_MS = 15 * 60 * 1000
export const UNSIGNED_PAYLOAD = 'UNSIGNED-PAYLOAD'
const EMPTY_HASH = sha256Hex('')
const PAYLOAD = /^([0-9a-f]{64}|UNSIGNED-PAYLOAD|STREAMING-[A-Z0-9-]{1,64})$/

/**
 * Verifies AWS Signature Version 4 of a request, in its header or presigned in its query. Undefined where it carries
 * neither. Errors: SigV4Failure.
 */
export async function verifySigV4<Principal>(
  request: RawRequest,
  deps: SigV4Deps<Principal>,
): Promise<SignedRequest<Principal> | undefined> {
  const authorization = authorizationOf(request)
  if (authorization === undefined) return undefined
  requireTime(authorization, deps.now().getTime())
  requireScope(authorization, deps)
  requireSigned(request, authorization)
  const payloadHash = payloadHashOf(request, authorization)
  const found = await deps.findKey(authorization.accessKeyId)
  // An unknown key takes as long as a wrong signature.
  const key = signingKeyOf(found?.secret ?? randomBytes(32).toString('hex'), authorization.scope)
  const isGood = isSame(expectedSignature(request, authorization, payloadHash, key), authorization.signature)
  if (found === undefined) throw new SigV4Failure('InvalidAccessKeyId')
  if (!isGood) throw new SigV4Failure('SignatureDoesNotMatch')
  const { accessKeyId, scope, signature } = authorization
  return { principal: found.principal, accessKeyId, payloadHash, seed: { key, scope, signature } }
}

function expectedSignature(request: RawRequest, authorization: Authorization, payloadHash: string, key: Buffer) {
  const canonical = canonicalRequest(request, authorization.signedHeaders, payloadHash)
  return signatureOver(key, ALGORITHM, authorization.scope, [sha256Hex(canonical)])
}

/** In constant time, of texts of hex digits. */
export const isSame = (expected: string, given: string): boolean =>
  expected.length === given.length && timingSafeEqual(Buffer.from(expected, 'latin1'), Buffer.from(given, 'latin1'))

/** A header's signature is good for as long as clocks may be apart; a presigned one from its time on, until it expires. */
function requireTime({ scope: { time }, expiresSeconds }: Authorization, nowMs: number): void {
  const [, year, month, day, hour, minute, second] = /^(....)(..)(..)T(..)(..)(..)Z$/.exec(time) ?? []
  const atMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  // NaN fails too.
  if (!(atMs - nowMs <= SKEW_MS)) throw new SigV4Failure('RequestTimeTooSkewed')
  if (expiresSeconds === undefined && nowMs - atMs > SKEW_MS) throw new SigV4Failure('RequestTimeTooSkewed')
  if (expiresSeconds !== undefined && nowMs >= atMs + expiresSeconds * 1000)
    throw new SigV4Failure('AccessDenied', 'The link has expired.')
}

function requireScope(
  { scope, expiresSeconds }: Authorization,
  { region, service }: { region: string; service: string },
) {
  if (scope.region === region && scope.service === service) return
  const code = expiresSeconds === undefined ? 'AuthorizationHeaderMalformed' : 'AuthorizationQueryParametersError'
  throw new SigV4Failure(code, `Sign for the region '${region}' and the service '${service}'.`)
}

/** What is not signed, whoever passes the request on could have changed. */
function requireSigned(request: RawRequest, { signedHeaders }: Authorization): void {
  const headers = headersOf(request)
  const names = [...headers.keys()].filter(name => name === 'host' || name.startsWith('x-amz-'))
  const isComplete = headers.has('host') && names.every(name => signedHeaders.includes(name))
  if (!isComplete) throw new SigV4Failure('AccessDenied', 'The host and every x-amz- header have to be signed.')
  if ((headers.get('host') ?? []).length > 1) throw new SigV4Failure('InvalidRequest', 'There is more than one host.')
}

/** A request without the header has no body; a presigned one may have any. */
function payloadHashOf(request: RawRequest, { expiresSeconds }: Authorization): string {
  const headers = headersOf(request)
  const [given, ...others] = headers.get('x-amz-content-sha256') ?? []
  if (others.length > 0) throw new SigV4Failure('InvalidRequest', 'x-amz-content-sha256 is given more than once.')
  if (given !== undefined && !PAYLOAD.test(given))
    throw new SigV4Failure('InvalidRequest', 'x-amz-content-sha256 is not well-formed.')
  if (given !== undefined) return given
  if (expiresSeconds !== undefined) return UNSIGNED_PAYLOAD
  const hasBody = headers.has('transfer-encoding') || (headers.get('content-length')?.[0] ?? '0') !== '0'
  if (!hasBody) return EMPTY_HASH
  throw new SigV4Failure('InvalidRequest', 'x-amz-content-sha256 is missing.')
}
