import { isIP } from 'node:net'
import { isPublicAddress } from './addresses.ts'
import { OutboundFailure, refused } from './failure.ts'

const LONGEST_URL = 8_192
/** Of the web. Other ports are other services', which must not be reached by way of us. */
const WEB_PORTS: readonly number[] = [443, 80]

/** Which addresses from outside may be asked. */
export interface OutboundRules {
  /** For development and tests: plain HTTP and addresses of private networks are allowed. */
  allowPrivate: boolean
  /** Those of the web unless told, and any where private addresses are allowed. */
  ports?: readonly number[] | undefined
}

/**
 * A URL from outside, as it may be asked: HTTPS, at an allowed port, without user and password; an address in place of a
 * name must be a public one. With `allowPrivate` also plain HTTP and any address. Errors: OutboundFailure `refused`.
 */
export function outboundTarget(text: string, rules: OutboundRules): URL {
  const { allowPrivate } = rules
  if (text.length > LONGEST_URL || !URL.canParse(text)) throw new OutboundFailure('refused', 'the URL is not valid')
  const url = new URL(text)
  const isSchemeAllowed = url.protocol === 'https:' || (allowPrivate && url.protocol === 'http:')
  if (!isSchemeAllowed) throw new OutboundFailure('refused', 'the URL must be HTTPS')
  if (url.username !== '' || url.password !== '') {
    throw new OutboundFailure('refused', 'the URL must not hold a user or password')
  }
  requireAllowedHost(url.hostname, allowPrivate)
  requireAllowedPort(url.port, url.protocol, rules)
  return url
}

/** An empty port is that of the scheme. Errors: OutboundFailure `refused`. */
export function requireAllowedPort(port: string, protocol: string, { allowPrivate, ports }: OutboundRules): void {
  const number = port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port)
  const allowed = ports ?? (allowPrivate ? undefined : WEB_PORTS)
  if (allowed === undefined || allowed.includes(number)) return
  throw new OutboundFailure('refused', `the port must be ${allowed.join(' or ')}`)
}

/** Names pass: what they resolve to is checked at the connection. Errors: OutboundFailure `refused`. */
export function requireAllowedHost(hostname: string, allowPrivate: boolean): void {
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  if (!allowPrivate && isIP(host) !== 0 && !isPublicAddress(host)) throw refused()
}
