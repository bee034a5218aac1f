import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** All of the global unicast space that is assigned: what lies outside of it has a meaning of its own (RFC 4291). */
const GLOBAL_UNICAST_V6: [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3]

/**
 * Whether an address is one of the public internet. Not so: private, loopback, link-local, shared (RFC 6598),
 * multicast, unspecified, broadcast, benchmarking, documentation and reserved ones (the IANA special-purpose
 * registries, RFC 6890), and IPv6 addresses that carry an IPv4 address (mapped, compatible, NAT64, 6to4, Teredo),
 * whatever that is: where they lead is decided by the network.
 */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 0) return false
  const parsed = ipaddr.parse(address)
  if (parsed.range() !== 'unicast') return false
  return parsed.kind() === 'ipv4' || parsed.match(GLOBAL_UNICAST_V6)
}
