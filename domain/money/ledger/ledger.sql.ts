import {
  queryFirst,
  queryOne,
  type PreparedStatement,
  type Queryable,
  type Transaction,
} from '../../../infra/postgres/database.ts'
import { uuidOf } from '../../core/ids.ts'
import type { Owner } from '../../core/caller.rules.ts'
import type { Nanos } from './money.rules.ts'

/** Payload: the user whose balance changed other than by this process's own calls. */
export const ACCOUNT_CHANGES = 'ipop_accounts'

export interface AccountRow {
  user_id: string
  balance_nanos: Nanos
  held_nanos: Nanos
  leased_nanos: Nanos
}

export interface HoldRow {
  resource_id: string
  run: number
  user_id: string
  amount_nanos: Nanos
  remaining_nanos: Nanos
  released_at: Date | null
}

export interface EntryRow {
  reference: string
  kind: string
  user_id: string
  amount_nanos: Nanos
  held_nanos: Nanos
  note: string | null
  created_at: Date
}

export async function insertAccount(db: Queryable, userId: string): Promise<void> {
  await db.query('INSERT INTO accounts (user_id) VALUES ($1::text) ON CONFLICT DO NOTHING', [userId])
}

export async function selectAccount(db: Queryable, userId: string): Promise<AccountRow | undefined> {
  return queryFirst<AccountRow>(db, 'SELECT * FROM accounts WHERE user_id = $1::text', [userId])
}

/** Locks the accounts in one order, so that two transactions that need the same ones never wait for each other. */
export async function lockAccounts(tx: Transaction, userIds: readonly string[]): Promise<AccountRow[]> {
  const text = 'SELECT * FROM accounts WHERE user_id = ANY($1::text[]) ORDER BY user_id FOR UPDATE'
  return (await tx.query<AccountRow>(text, [userIds])).rows
}

interface NewCredit {
  reference: string
  userId: string
  amountNanos: Nanos
  note: string
}

/** Appends the entry and moves the account by it. The account must be locked. */
export async function insertCredit(
  tx: Transaction,
  { reference, userId, amountNanos, note }: NewCredit,
): Promise<AccountRow> {
  await tx.query(
    `INSERT INTO ledger_entries (reference, kind, user_id, amount_nanos, held_nanos, note)
     VALUES ($1::uuid, 'credit', $2::text, $3::bigint, 0, $4::text)`,
    [reference, userId, amountNanos, note],
  )
  await tx.query('SELECT pg_notify($1::text, $2::text)', [ACCOUNT_CHANGES, userId])
  return queryOne<AccountRow>(
    tx,
    `UPDATE accounts SET balance_nanos = balance_nanos + $2::bigint, low_below_nanos = CASE WHEN $2::bigint > 0
       THEN nullif(greatest(0, (balance_nanos + $2::bigint) / 10), 0) ELSE low_below_nanos END
     WHERE user_id = $1::text RETURNING *`,
    [userId, amountNanos],
  )
}

/** Accounts whose balance is below the mark that their last credit set, which they lose with that. */
export async function takeLowAccounts(
  tx: Transaction,
  limit: number,
): Promise<{ user_id: string; balance_nanos: Nanos; low_below_nanos: Nanos }[]> {
  const { rows } = await tx.query<{ user_id: string; balance_nanos: Nanos; low_below_nanos: Nanos }>(
    `WITH low AS (
       SELECT user_id, balance_nanos, low_below_nanos FROM accounts WHERE balance_nanos < low_below_nanos
       ORDER BY user_id LIMIT $1::integer FOR UPDATE SKIP LOCKED)
     UPDATE accounts a SET low_below_nanos = NULL FROM low WHERE a.user_id = low.user_id
     RETURNING low.user_id, low.balance_nanos, low.low_below_nanos`,
    [limit],
  )
  return rows.toSorted((one, other) => (one.user_id < other.user_id ? -1 : 1))
}

/** What a hold belongs to: a run of a resource's job. */
export interface HeldRun {
  resourceId: string
  run: number
}

/**
 * Sets an amount aside for a run. The same again changes nothing. One statement, so that the account is locked for no
 * longer than it takes the transaction to commit. Errors: `holdNotCovered` where it is more than the account has free
 * (the detail is what is free, and what is leased); IP409 where the run had another hold, or another run's is open.
 */
export async function insertHold(tx: Transaction, held: HeldRun, owner: Owner, amount: Nanos): Promise<void> {
  const { resourceId, run } = held
  const values = [resourceId, uuidOf(resourceId), owner.userId, owner.projectId, amount, ACCOUNT_CHANGES, run]
  await tx.query(INSERT_HOLD, values)
}

const INSERT_HOLD: PreparedStatement = {
  name: 'insert_hold',
  text: `
WITH others AS (
  SELECT run, amount_nanos, released_at FROM holds
  WHERE resource_id = $1::text AND (run = $7::integer OR released_at IS NULL)
), moved AS (
  UPDATE accounts SET held_nanos = held_nanos + $5::bigint
  WHERE user_id = $3::text AND balance_nanos - held_nanos - leased_nanos >= $5::bigint AND NOT EXISTS (SELECT FROM others)
  RETURNING user_id
), hold AS (
  INSERT INTO holds (resource_id, run, user_id, amount_nanos, remaining_nanos)
  SELECT $1::text, $7::integer, user_id, $5::bigint, $5::bigint FROM moved
), entry AS (
  INSERT INTO ledger_entries
    (reference, kind, user_id, project_id, hold_resource_id, hold_run, amount_nanos, held_nanos)
  SELECT $2::uuid, 'hold', user_id, $4::text, $1::text, $7::integer, 0, $5::bigint FROM moved
)
SELECT CASE
  WHEN EXISTS (SELECT FROM moved) THEN pg_notify($6::text, $3::text)::text
  WHEN EXISTS (SELECT FROM others WHERE run <> $7::integer OR released_at IS NOT NULL OR amount_nanos <> $5::bigint)
  THEN refuse_second_hold($1::text, $7::integer)
  WHEN NOT EXISTS (SELECT FROM others) THEN refuse_hold(
    (SELECT balance_nanos - held_nanos - leased_nanos FROM accounts WHERE user_id = $3::text),
    (SELECT leased_nanos FROM accounts WHERE user_id = $3::text))
END`,
}

/** The resource's open hold. */
export async function selectOpenHold(db: Queryable, resourceId: string): Promise<HoldRow | undefined> {
  const text = 'SELECT * FROM holds WHERE resource_id = $1::text AND released_at IS NULL'
  return queryFirst<HoldRow>(db, text, [resourceId])
}

/** Gives back what is left of the resource's open hold; nothing where there is none. The account must be locked. */
export async function closeHold(tx: Transaction, resourceId: string, owner: Owner): Promise<void> {
  await tx.query(CLOSE_HOLD, [resourceId, uuidOf(resourceId), owner.projectId, ACCOUNT_CHANGES])
}

const CLOSE_HOLD: PreparedStatement = {
  name: 'close_hold',
  text: `
WITH open AS MATERIALIZED (
  SELECT * FROM holds WHERE resource_id = $1::text AND released_at IS NULL
), closed AS (
  UPDATE holds SET remaining_nanos = 0, released_at = now() FROM open
  WHERE holds.resource_id = open.resource_id AND holds.run = open.run
), entry AS (
  INSERT INTO ledger_entries
    (reference, kind, user_id, project_id, hold_resource_id, hold_run, amount_nanos, held_nanos)
  SELECT $2::uuid, 'release', user_id, $3::text, resource_id, run, 0, -remaining_nanos FROM open
), account AS (
  UPDATE accounts a SET held_nanos = a.held_nanos - open.remaining_nanos FROM open WHERE a.user_id = open.user_id
)
SELECT pg_notify($4::text, user_id) FROM open`,
}

export async function selectEntries(db: Queryable, userId: string, limit: number): Promise<EntryRow[]> {
  const text = 'SELECT * FROM ledger_entries WHERE user_id = $1::text ORDER BY reference DESC, kind LIMIT $2::integer'
  return (await db.query<EntryRow>(text, [userId, limit])).rows
}
