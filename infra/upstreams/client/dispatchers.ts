import { Agent, type Dispatcher } from 'undici'
import type { Outbound } from '../../outbound/outbound.ts'
import type { UpstreamSettings } from '../upstream.ts'

export interface UpstreamTimeouts {
  /** Longest wait for a reply's head. Reasoning calls are silent for minutes: the default of 5 is too short. */
  replyTimeoutMs: number
  /** Longest silence within a reply. */
  idleTimeoutMs: number
}

/** Connections to upstreams: those that users name go through the outbound door. */
export interface Dispatchers {
  of(upstream: Pick<UpstreamSettings, 'userSupplied'>): Dispatcher
  close(): Promise<void>
}

const CONNECT_TIMEOUT_MS = 10_000

export function createDispatchers(timeouts: UpstreamTimeouts, outbound: Outbound): Dispatchers {
  const own = new Agent({
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: timeouts.replyTimeoutMs,
    bodyTimeout: timeouts.idleTimeoutMs,
    maxResponseSize: -1,
  })
  const others = outbound.dispatcher(timeouts)
  return {
    of: ({ userSupplied }) => (userSupplied === true ? others : own),
    close: async () => {
      await Promise.all([own.close(), others.close()])
    },
  }
}
