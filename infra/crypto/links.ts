import { createHmac, timingSafeEqual } from 'node:crypto'

/** What a signed link carries in its query. */
export interface LinkQuery {
  /** Unix time in seconds. */
  expires?: number
  signature?: string
}

/** A link to the path that whoever has it may read until it expires: HMAC-SHA256 over path and expiry. */
export function signLink(signingKey: Uint8Array, baseUrl: string, path: string, livesSeconds: number): string {
  const expires = Math.floor(Date.now() / 1000) + livesSeconds
  const signature = signatureOf(signingKey, path, expires).toString('base64url')
  return `${baseUrl}${path}?expires=${expires}&signature=${signature}`
}

/** Whether the link was given out for this path, and has not expired. */
export function verifyLink(signingKey: Uint8Array, path: string, { expires, signature }: LinkQuery): boolean {
  if (expires === undefined || signature === undefined) return false
  const expected = signatureOf(signingKey, path, expires)
  const given = Buffer.from(signature, 'base64url')
  return given.length === expected.length && timingSafeEqual(given, expected) && expires * 1000 > Date.now()
}

/** The first line keeps these signatures apart from the others that the same key makes. */
const signatureOf = (signingKey: Uint8Array, path: string, expires: number): Buffer =>
  createHmac('sha256', signingKey).update(`link-v1\n${path}\n${expires}`).digest()
