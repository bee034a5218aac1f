import { isIP } from 'node:net'
import { isPublicAddress } from './addresses.ts'
import { OutboundFailure, refused } from './failure.ts'

const LONGEST_URL = 8_192

/**
 * A URL from outside, as it may be asked: HTTPS, without user and password; an address in place of a name must be a
 * public one. With `allowPrivate` also plain HTTP and any address. Errors: OutboundFailure `refused`.
 */
export function outboundTarget(text: string, allowPrivate: boolean): URL {
  if (text.length > LONGEST_URL || !URL.canParse(text)) throw new OutboundFailure('refused', 'the URL is not valid')
  const url = new URL(text)
  const isSchemeAllowed = url.protocol === 'https:' || (allowPrivate && url.protocol === 'http:')
  if (!isSchemeAllowed) throw new OutboundFailure('refused', 'the URL must be HTTPS')
  if (url.username !== '' || url.password !== '') {
    throw new OutboundFailure('refused', 'the URL must not hold a user or password')
  }
  requireAllowedHost(url.hostname, allowPrivate)
  return url
}

/** Names pass: what they resolve to is checked at the connection. Errors: OutboundFailure `refused`. */
export function requireAllowedHost(hostname: string, allowPrivate: boolean): void {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  if (!allowPrivate && isIP(host) !== 0 && !isPublicAddress(host)) throw refused()
}
