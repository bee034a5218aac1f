import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import type { AddressRange } from '../../../infra/config.ts'

/** What one site of the internet is usually given of IPv6: whoever has it has all of its addresses (RFC 6177). */
const SITE_PREFIX_BITS = 64

/**
 * Who is at the other end: the socket's peer, or, where that is a trusted proxy, the last hop of `X-Forwarded-For` that
 * is none. What stands left of that hop was written by the client and is not believed. IPv6 is cut to its /64.
 */
export function clientAddress(
  peer: string | undefined,
  forwardedFor: string | undefined,
  trusted: readonly AddressRange[],
): string {
  const isTrusted = (address: ipaddr.IPv4 | ipaddr.IPv6) =>
    trusted.some(([range, bits]) => range.kind() === address.kind() && address.match(range, bits))
  const hops = (forwardedFor ?? '').split(',').toReversed()
  let address = parsed(peer ?? '')
  for (const hop of hops) {
    if (address === undefined || !isTrusted(address)) break
    const next = parsed(hop)
    if (next === undefined) break
    address = next
  }
  return address === undefined ? '' : siteOf(address)
}

/** Without what some proxies add: a port, brackets. An IPv4 address mapped into IPv6 is the IPv4 address. */
function parsed(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const bare = text
    .trim()
    .replace(/^\[(.*)\](:\d+)?$/, '$1')
    .replace(/^(\d+\.\d+\.\d+\.\d+):\d+$/, '$1')
  return isIP(bare) === 0 ? undefined : ipaddr.process(bare)
}

function siteOf(address: ipaddr.IPv4 | ipaddr.IPv6): string {
  if (address instanceof ipaddr.IPv4) return address.toString()
  return ipaddr.IPv6.networkAddressFromCIDR(`${address.toString()}/${SITE_PREFIX_BITS}`).toString()
}
