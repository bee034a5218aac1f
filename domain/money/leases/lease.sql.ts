import type { PreparedStatement, Queryable, Transaction } from '../../../infra/postgres/database.ts'
import { queryOne } from '../../../infra/postgres/database.ts'
import type { Nanos } from '../ledger/money.rules.ts'

/** Payload: a user whose credit is leased, and needed by another. */
export const LEASE_RECALLS = 'ipop_lease_recalls'

/** What a process tells of its lease of an account, and asks. */
export interface LeaseRequest {
  userId: string
  /** Grows with every exchange of the process. */
  number: number
  keptNanos: Nanos
  /** Given whole or not at all. */
  needNanos: Nanos
  /** Beyond that; at most half of what is free then. */
  extraNanos: Nanos
}

export interface LeaseGrant {
  user_id: string
  granted_nanos: Nanos
  /** What nobody has leased, after the grant. */
  free_nanos: Nanos
  /** What other processes have leased. */
  others_nanos: Nanos
  /** The balance without what is held for jobs. */
  available_nanos: Nanos
}

const EXCHANGE: PreparedStatement = {
  name: 'exchange_leases',
  text: 'SELECT * FROM exchange_leases($1::text, $2::json)',
}

/** No grant for an account that is not there. Errors: SqlState.processLost where the holder was declared lost. */
export async function exchangeLeases(
  db: Queryable,
  holder: string,
  asks: readonly LeaseRequest[],
): Promise<Map<string, LeaseGrant>> {
  const { rows } = await db.query<LeaseGrant>(EXCHANGE, [holder, JSON.stringify(asks.map(wireRequest))])
  return new Map(rows.map(row => [row.user_id, row]))
}

const wireRequest = (ask: LeaseRequest) => ({
  user_id: ask.userId,
  number: ask.number,
  kept: ask.keptNanos.toString(),
  need: ask.needNanos.toString(),
  extra: ask.extraNanos.toString(),
})

/** Asks all holders of the account's leases, but one, to give back what they do not need. */
export async function markRecalled(db: Queryable, userId: string, except: string): Promise<void> {
  await db.query(
    `WITH marked AS (
       UPDATE account_leases SET recalled = true WHERE user_id = $1::text AND process_id <> $2::text RETURNING 1
     ) SELECT pg_notify($3::text, $1::text) FROM (SELECT count(*) AS count FROM marked) AS m WHERE m.count > 0`,
    [userId, except, LEASE_RECALLS],
  )
}

/** How many have not answered. */
export async function countRecalled(db: Queryable, userId: string, except: string): Promise<number> {
  const text = `SELECT count(*)::integer AS count FROM account_leases
    WHERE user_id = $1::text AND process_id <> $2::text AND recalled`
  return (await queryOne<{ count: number }>(db, text, [userId, except])).count
}

/** The users of the accounts of which the process has leased some. */
export async function leasedUserIds(db: Queryable, processId: string): Promise<string[]> {
  const text = 'SELECT user_id FROM account_leases WHERE process_id = $1::text'
  return (await db.query<{ user_id: string }>(text, [processId])).rows.map(row => row.user_id)
}

/** Ends all leases of a process, which must be locked: it makes no new ones. The accounts must be locked. */
export async function releaseLeasesOf(tx: Transaction, processId: string): Promise<void> {
  await tx.query(
    `WITH gone AS (DELETE FROM account_leases WHERE process_id = $1::text RETURNING user_id, nanos)
     UPDATE accounts a SET leased_nanos = a.leased_nanos - gone.nanos FROM gone WHERE a.user_id = gone.user_id`,
    [processId],
  )
}
