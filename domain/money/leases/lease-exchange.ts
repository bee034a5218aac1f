import type { Database } from '../../../infra/postgres/database.ts'
import { notFound } from '../../core/errors.ts'
import { exchangeLeases, type LeaseRequest, type LeaseGrant } from './lease.sql.ts'

export type Exchange = (holder: string, ask: Omit<LeaseRequest, 'number'>) => Promise<LeaseGrant>

/** A process's exchanges of what it has leased, numbered. */
export interface LeaseExchange {
  /** Errors: 404 where there is no such account; SqlState.processLost; where the database is away. */
  now: Exchange
  /** All that `use` sends at once go in one statement for each holder. */
  together(use: (exchange: Exchange) => Promise<unknown>[]): Promise<void>
}

export function createLeaseExchange({ db }: { db: Database }): LeaseExchange {
  let number = 0
  const numbered = (ask: Omit<LeaseRequest, 'number'>): LeaseRequest => ({ ...ask, number: (number += 1) })
  return {
    now: async (holder, ask) => grantOf(await exchangeLeases(db, holder, [numbered(ask)]), ask.userId),
    together: async use => {
      const asked = new Map<string, LeaseRequest[]>()
      const replies = new Map<string, Promise<Map<string, LeaseGrant>>>()
      const uses = use(async (holder, ask) => {
        asked.set(holder, [...(asked.get(holder) ?? []), numbered(ask)])
        // All are asked in this tick, and sent at its end.
        await Promise.resolve()
        return grantOf((await replies.get(holder)) ?? new Map(), ask.userId)
      })
      for (const [holder, asks] of asked) replies.set(holder, exchangeLeases(db, holder, asks))
      await Promise.all(uses)
    },
  }
}

function grantOf(grants: Map<string, LeaseGrant>, userId: string): LeaseGrant {
  const grant = grants.get(userId)
  if (grant === undefined) throw notFound('user', 'user')
  return grant
}
