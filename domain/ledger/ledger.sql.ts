import { queryFirst, queryOne, type Queryable, type Transaction } from '../../infra/postgres/database.ts'
import { uuidOf } from '../ids.ts'
import type { Owner } from '../tenancy/tenancy.rules.ts'
import type { Nanos } from './money.rules.ts'

/** Payload: the user whose balance changed other than by this process's own calls. */
export const ACCOUNT_CHANGES = 'ipop_accounts'

export interface AccountRow {
  user_id: string
  balance_nanos: Nanos
  held_nanos: Nanos
}

export interface HoldRow {
  resource_id: string
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

interface NewEntry {
  reference: string
  kind: 'credit' | 'release'
  owner: Owner
  holdResourceId?: string
  amountNanos: Nanos
  heldNanos: Nanos
  note?: string
}

/** Appends the entry and moves the account by it. The account must be locked. */
export async function post(tx: Transaction, entry: NewEntry): Promise<AccountRow> {
  await tx.query(
    `INSERT INTO ledger_entries (reference, kind, user_id, project_id, hold_resource_id, amount_nanos, held_nanos, note)
     VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::text, $6::bigint, $7::bigint, $8::text)`,
    [
      entry.reference,
      entry.kind,
      entry.owner.userId,
      entry.owner.projectId,
      entry.holdResourceId ?? null,
      entry.amountNanos,
      entry.heldNanos,
      entry.note ?? null,
    ],
  )
  await tx.query('SELECT pg_notify($1::text, $2::text)', [ACCOUNT_CHANGES, entry.owner.userId])
  return queryOne<AccountRow>(
    tx,
    `UPDATE accounts SET balance_nanos = balance_nanos + $2::bigint, held_nanos = held_nanos + $3::bigint
     WHERE user_id = $1::text RETURNING *`,
    [entry.owner.userId, entry.amountNanos, entry.heldNanos],
  )
}

/**
 * Sets an amount aside where the account has it free and the resource has no hold yet; false where either is not so.
 * One statement, so that the account is locked for no longer than it takes the transaction to commit.
 */
export async function insertHold(tx: Transaction, resourceId: string, owner: Owner, amount: Nanos): Promise<boolean> {
  const { rowCount } = await tx.query(
    `WITH moved AS (
       UPDATE accounts SET held_nanos = held_nanos + $5::bigint
       WHERE user_id = $3::text AND balance_nanos - held_nanos >= $5::bigint
         AND NOT EXISTS (SELECT FROM holds WHERE resource_id = $1::text)
       RETURNING user_id
     ), hold AS (
       INSERT INTO holds (resource_id, user_id, amount_nanos, remaining_nanos)
       SELECT $1::text, user_id, $5::bigint, $5::bigint FROM moved
     ), entry AS (
       INSERT INTO ledger_entries (reference, kind, user_id, project_id, hold_resource_id, amount_nanos, held_nanos)
       SELECT $2::uuid, 'hold', user_id, $4::text, $1::text, 0, $5::bigint FROM moved
     )
     SELECT pg_notify($6::text, user_id) FROM moved`,
    [resourceId, uuidOf(resourceId), owner.userId, owner.projectId, amount, ACCOUNT_CHANGES],
  )
  return rowCount === 1
}

export async function selectHold(db: Queryable, resourceId: string): Promise<HoldRow | undefined> {
  return queryFirst<HoldRow>(db, 'SELECT * FROM holds WHERE resource_id = $1::text', [resourceId])
}

export async function closeHold(tx: Transaction, hold: HoldRow, owner: Owner): Promise<void> {
  await tx.query(
    'UPDATE holds SET remaining_nanos = 0, released_at = now() WHERE resource_id = $1::text AND released_at IS NULL',
    [hold.resource_id],
  )
  await post(tx, {
    reference: uuidOf(hold.resource_id),
    kind: 'release',
    owner,
    holdResourceId: hold.resource_id,
    amountNanos: 0n,
    heldNanos: -hold.remaining_nanos,
  })
}

export async function selectEntries(db: Queryable, userId: string, limit: number): Promise<EntryRow[]> {
  const text = 'SELECT * FROM ledger_entries WHERE user_id = $1::text ORDER BY reference DESC, kind LIMIT $2::integer'
  return (await db.query<EntryRow>(text, [userId, limit])).rows
}
