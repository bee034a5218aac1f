import type { LookupAddress, LookupOptions } from 'node:dns'
import { lookup, Resolver } from 'node:dns/promises'
import type { LookupFunction } from 'node:net'
import { callbackify } from 'node:util'
import { buildConnector } from 'undici'
import { isPublicAddress } from './addresses.ts'
import { OutboundFailure, refused } from './failure.ts'
import { requireAllowedHost, requireAllowedPort, type OutboundRules } from './target.ts'

/** Asks for every address of a name. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>

const CONNECT_TIMEOUT_MS = 10_000

/** As programs on this machine do, with its hosts file. */
export const resolveBySystem: Resolve = hostname => lookup(hostname, { all: true })

/**
 * By DNS alone: names that only this machine knows are nobody's outside. And a name whose server is slow on purpose
 * holds none of the few threads of the system's way, which files need too.
 */
export function resolveByDns(servers?: readonly string[]): Resolve {
  return async hostname => {
    // Each reads this machine's settings anew: they change where it moves between networks.
    const resolver = new Resolver({ timeout: 2_000, tries: 2 })
    if (servers !== undefined) resolver.setServers(servers)
    const answers = await Promise.allSettled([resolver.resolve4(hostname), resolver.resolve6(hostname)])
    return answers.flatMap((answer, index) => {
      if (answer.status === 'rejected') return []
      return answer.value.map(address => ({ address, family: index === 0 ? 4 : 6 }))
    })
  }
}

/** Every address of the name, all of them public ones. Errors: OutboundFailure `refused`. */
export async function allowedAddresses(
  hostname: string,
  allowPrivate: boolean,
  resolve: Resolve,
): Promise<LookupAddress[]> {
  const addresses = await resolve(hostname).catch((error: unknown) => {
    throw refused(error)
  })
  const isAllowed = addresses.length > 0 && (allowPrivate || addresses.every(one => isPublicAddress(one.address)))
  if (!isAllowed) throw refused()
  return addresses
}

/**
 * Opens connections to allowed addresses alone. The name is resolved once, and the socket is given the very addresses
 * that were checked: a name that answers differently the next time (DNS rebinding) gains nothing. An address in place
 * of a name is never looked up by the socket, so it is checked first.
 */
export function pinnedConnector(rules: OutboundRules, resolve: Resolve): buildConnector.connector {
  const { allowPrivate } = rules
  const connect = buildConnector({ timeout: CONNECT_TIMEOUT_MS, lookup: checkedLookup(allowPrivate, resolve) })
  return (options, callback) => {
    try {
      if (options.protocol !== 'https:' && !allowPrivate) {
        throw new OutboundFailure('refused', 'the URL must be HTTPS')
      }
      requireAllowedHost(options.hostname, allowPrivate)
      requireAllowedPort(options.port, options.protocol, rules)
    } catch (error) {
      return callback(error as OutboundFailure, null)
    }
    connect(options, callback)
  }
}

function checkedLookup(allowPrivate: boolean, resolve: Resolve): LookupFunction {
  const find = callbackify((hostname: string) => allowedAddresses(hostname, allowPrivate, resolve))
  return (hostname, options: LookupOptions, callback) =>
    find(hostname, (error, addresses) => {
      const [first] = addresses ?? []
      if (error !== null || options.all === true) callback(error, addresses)
      else callback(null, first?.address ?? '', first?.family)
    })
}
