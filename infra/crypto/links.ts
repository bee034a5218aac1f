import { createHmac, timingSafeEqual } from 'node:crypto'

/** A key that links are signed with. */
export interface SigningKey {
  /** Carried by what it signs, so that keys can be changed. */
  id: string
  /** 32. */
  bytes: Buffer
}

/** The first signs, all verify. */
export type SigningKeys = readonly [SigningKey, ...SigningKey[]]

/** The purpose of links that are a way into operations (api/http/auth/signed-link.ts): their claims are the whole query. */
export const OPERATION_LINK = 'operation'

/** What a link lets whoever has it do. */
export interface LinkTarget {
  /** Keeps links of one kind from being taken for another's. */
  purpose: string
  /** HEAD counts as GET. */
  method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  /** As the operation writes it, without the query. */
  path: string
  /** What else is fixed: parameters of its query. */
  claims?: Readonly<Record<string, string>>
}

/** What proves a link, in its query. */
export interface LinkQuery {
  /** Unix time in seconds. */
  expires?: number
  /** The key's id, a dot, and HMAC-SHA256 in base64url. */
  signature?: string
}

const MOST_SECONDS = 7 * 24 * 60 * 60

/**
 * A link for one purpose, method, path and claims, until it expires. Errors: RangeError for a life outside 1 s to 7 days.
 */
export function signLink(keys: SigningKeys, baseUrl: string, target: LinkTarget, livesSeconds: number): string {
  if (!Number.isInteger(livesSeconds) || livesSeconds < 1 || livesSeconds > MOST_SECONDS)
    throw new RangeError(`a signed link lives 1 to ${MOST_SECONDS} seconds`)
  const expires = Math.floor(Date.now() / 1000) + livesSeconds
  const signature = signatureOf(keys[0], target, expires)
  const query = new URLSearchParams({ ...target.claims, expires: String(expires), signature })
  return `${baseUrl}${target.path}?${query.toString()}`
}

/** Whether the link was given out for just that, under a key that is still there, and has not expired. */
export function verifyLink(keys: SigningKeys, target: LinkTarget, { expires, signature = '' }: LinkQuery): boolean {
  const key = keys.find(({ id }) => signature.startsWith(`${id}.`))
  if (expires === undefined || key === undefined) return false
  const expected = Buffer.from(signatureOf(key, target, expires))
  const given = Buffer.from(signature)
  return given.length === expected.length && timingSafeEqual(given, expected) && expires * 1000 > Date.now()
}

/** The first word keeps these signatures apart from all others that the same keys make; JSON keeps the parts apart. */
function signatureOf({ id, bytes }: SigningKey, target: LinkTarget, expires: number): string {
  const { purpose, method, path, claims = {} } = target
  const fixed = Object.entries(claims).sort(([a], [b]) => (a < b ? -1 : 1))
  const text = JSON.stringify(['link-v2', purpose, method === 'HEAD' ? 'GET' : method, path, expires, fixed])
  return `${id}.${createHmac('sha256', bytes).update(text).digest('base64url')}`
}
