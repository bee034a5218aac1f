import type { Log } from '../../../infra/log.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { Listener } from '../../../infra/postgres/listener.ts'
import { createLoop } from '../../../infra/loop.ts'
import type { ProcessHeartbeat } from '../../durable/processes/heartbeat.ts'
import { AccountLease, type Reservation } from './account-lease.ts'
import { LEASE_RECALLS } from './lease.sql.ts'
import { createLeaseExchange } from './lease-exchange.ts'
import { ACCOUNT_CHANGES } from '../ledger/ledger.service.ts'
import type { Nanos } from '../ledger/money.rules.ts'

const LOOK_EVERY_MS = 1_000

export type { Reservation } from './account-lease.ts'

/**
 * Admits calls against their accounts' credit. What all processes have leased, what is held for jobs and what is free
 * is together never more than the balance, so an account ends below zero only by calls of processes that were declared
 * lost and went on: at worst minus what was leased to those (docs/decisions.md, Money).
 */
export interface Balances {
  /** Errors: 402 where the account cannot pay the worst case; 404; where the database has to be asked and is away. */
  reserve(userId: string, worstCaseNanos: Nanos): Promise<Reservation>
  /** Gives back what is leased. */
  stop(): Promise<void>
}

interface Deps {
  db: Database
  listener: Listener
  heartbeat: ProcessHeartbeat
  log: Log
}

export function createBalances(deps: Deps): Balances {
  const exchange = createLeaseExchange(deps)
  const leases = new Map<string, AccountLease>()
  const leaseOf = (userId: string): AccountLease => {
    const known = leases.get(userId)
    if (known !== undefined) return known
    const lease = new AccountLease({ ...deps, exchange }, userId)
    leases.set(userId, lease)
    return lease
  }

  deps.listener.on(ACCOUNT_CHANGES, userId => leases.get(userId)?.accountChanged())
  deps.listener.on(LEASE_RECALLS, userId => leases.get(userId)?.recalled())
  deps.listener.onGap(() => leases.forEach(lease => lease.accountChanged()))
  deps.heartbeat.onLost(() => leases.forEach(lease => lease.lost()))

  const lookAfter = async () => {
    await exchange.together(send => [...leases.values()].map(lease => lease.lookAfter(send)))
    for (const [userId, lease] of leases) if (lease.isForgettable()) leases.delete(userId)
    return false
  }
  const loop = createLoop({ name: 'leased balances', everyMs: LOOK_EVERY_MS, log: deps.log, turn: lookAfter })

  return {
    reserve: (userId, worstCaseNanos) => leaseOf(userId).reserve(worstCaseNanos),
    stop: async () => {
      await loop.stop()
      try {
        await Promise.all([...leases.values()].map(lease => lease.giveBack()))
      } catch (error) {
        deps.log.warn({ err: error }, 'leased balances come free when this process is found lost')
      }
    },
  }
}
