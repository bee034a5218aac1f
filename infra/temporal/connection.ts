import { Connection } from '@temporalio/client'
import { loadClientConnectConfig } from '@temporalio/envconfig'
import type { Config } from '../config.ts'

export interface TemporalAddress {
  temporal: Pick<Config['temporal'], 'address'>
}

/**
 * A connection that is made at its first call. Address, TLS and credentials come from Temporal's own TEMPORAL_*
 * variables and profile file. Give every call a deadline: a start on a dead server blocks for 21 s otherwise.
 */
export function connectTemporal(config: TemporalAddress): Connection {
  return Connection.lazy(connectOptions(config))
}

/** A connection to a server with neither TLS nor credentials, whatever the environment says: the embedded one. */
export const connectPlain = (address: string): Connection => Connection.lazy({ address })

/**
 * What both kinds of connection take. An address that the environment does not name is the embedded server's, which
 * has neither TLS nor credentials: what the environment or a profile file says of those is meant for another server.
 */
export function connectOptions({ temporal: { address } }: TemporalAddress) {
  const { connectionOptions } = loadClientConnectConfig()
  return address === undefined || address === connectionOptions.address ? connectionOptions : { address }
}
