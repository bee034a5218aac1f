import { createHmac, timingSafeEqual } from 'node:crypto'
import { requireLinkLifetime, requireObjectKey, type SignedUrlOptions } from './store.ts'

/** What a signed URL carries in its query, beside the key in its path. */
export interface SignedUrlQuery {
  /** Unix time in seconds. */
  expires: number
  signature: string
}

/**
 * A link to `<baseUrl>/<key>` for one method until it expires: HMAC-SHA256 over method, key and expiry.
 * Errors: InvalidObjectKey, RangeError for a lifetime outside 1 s to 7 days.
 */
export function signObjectUrl(
  signing: { signingKey: Uint8Array; baseUrl: string },
  key: string,
  { method, expiresInSeconds }: SignedUrlOptions,
): string {
  requireObjectKey(key)
  requireLinkLifetime(expiresInSeconds)
  const expires = Math.floor(Date.now() / 1000) + expiresInSeconds
  const signature = signatureOf(signing.signingKey, method, key, expires).toString('base64url')
  const path = key.split('/').map(encodeURIComponent).join('/')
  return `${signing.baseUrl.replace(/\/+$/, '')}/${path}?expires=${expires}&signature=${signature}`
}

/** Whether the link was given out for this method (HEAD counts as GET) and key, and has not expired. */
export function verifySignedUrl(
  signingKey: Uint8Array,
  method: string,
  key: string,
  { expires, signature }: SignedUrlQuery,
): boolean {
  const expected = signatureOf(signingKey, method === 'HEAD' ? 'GET' : method, key, expires)
  const given = Buffer.from(signature, 'base64url')
  const genuine = given.length === expected.length && timingSafeEqual(given, expected)
  return genuine && expires * 1000 > Date.now()
}

/** The first line keeps these signatures apart from the others that the same key makes. */
function signatureOf(signingKey: Uint8Array, method: string, key: string, expires: number): Buffer {
  return createHmac('sha256', signingKey).update(`object-url-v1\n${method}\n${key}\n${expires}`).digest()
}
