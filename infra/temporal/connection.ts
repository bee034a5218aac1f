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

/** What both kinds of connection take: the environment's settings, with the configured address over them. */
export function connectOptions(config: TemporalAddress) {
  const { connectionOptions } = loadClientConnectConfig()
  const { address } = config.temporal
  return { ...connectionOptions, ...(address === undefined ? {} : { address }) }
}
