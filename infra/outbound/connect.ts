import { lookup as systemLookup } from 'node:dns'
import type { LookupAddress, LookupOptions } from 'node:dns'
import type { LookupFunction } from 'node:net'
import { callbackify } from 'node:util'
import { buildConnector } from 'undici'
import { isPublicAddress } from './addresses.ts'
import { OutboundFailure, refused } from './failure.ts'
import { requireAllowedHost } from './target.ts'

/** Asks for every address of a name, as the system resolves it. */
export type Resolve = (hostname: string) => Promise<LookupAddress[]>

const CONNECT_TIMEOUT_MS = 10_000

export const resolveBySystem: Resolve = hostname =>
  new Promise((resolve, reject) => {
    systemLookup(hostname, { all: true }, (error, addresses) => (error ? reject(error) : resolve(addresses)))
  })

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
export function pinnedConnector(allowPrivate: boolean, resolve: Resolve): buildConnector.connector {
  const connect = buildConnector({ timeout: CONNECT_TIMEOUT_MS, lookup: checkedLookup(allowPrivate, resolve) })
  return (options, callback) => {
    try {
      if (options.protocol !== 'https:' && !allowPrivate) {
        throw new OutboundFailure('refused', 'the URL must be HTTPS')
      }
      requireAllowedHost(options.hostname, allowPrivate)
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
