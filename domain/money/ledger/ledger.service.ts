import { inTransaction, type Database, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import { SqlState, sqlStateOf } from '../../../infra/postgres/sqlstate.ts'
import { badRequest, notFound } from '../../core/errors.ts'
import { newId, uuidOf } from '../../core/ids.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { HoldNotCovered } from './hold-not-covered.ts'
import {
  closeHold,
  insertAccount,
  insertCredit,
  insertHold,
  lockAccounts,
  selectAccount,
  selectEntries,
  selectOpenHold,
  type AccountRow,
  type EntryRow,
  type HeldRun,
} from './ledger.sql.ts'
import type { Nanos } from './money.rules.ts'

interface Deps {
  db: Database
}

export const openAccount = (tx: Transaction, userId: string): Promise<void> => insertAccount(tx, userId)

export type { AccountRow, HeldRun } from './ledger.sql.ts'
export { ACCOUNT_CHANGES, lockAccounts } from './ledger.sql.ts'

/** What the account can still spend: its balance without what is held for jobs. Processes may have leased some of it. */
export const availableNanos = (account: Pick<AccountRow, 'balance_nanos' | 'held_nanos'>): Nanos =>
  account.balance_nanos - account.held_nanos

/** Errors: 404 for an unknown user. */
export async function requireAccount(db: Queryable, userId: string): Promise<AccountRow> {
  const account = await selectAccount(db, userId)
  if (account === undefined) throw notFound('user', 'user')
  return account
}

/** Adds credit, or takes it back with a negative amount. */
export async function addCredit(deps: Deps, userId: string, amountNanos: Nanos, note: string): Promise<AccountRow> {
  return inTransaction(deps.db, tx => postCredit(tx, userId, amountNanos, note))
}

/** The same within a transaction. Locks the account. */
export async function postCredit(
  tx: Transaction,
  userId: string,
  amountNanos: Nanos,
  note: string,
): Promise<AccountRow> {
  if (amountNanos === 0n) throw badRequest('The amount must not be zero.', 'amount')
  const [account] = await lockAccounts(tx, [userId])
  if (account === undefined) throw notFound('user', 'user')
  const reference = uuidOf(newId('credit'))
  return insertCredit(tx, { reference, userId, amountNanos, note })
}

/** The newest entries first. */
export const listEntries = (deps: Deps, userId: string, limit: number): Promise<EntryRow[]> =>
  selectEntries(deps.db, userId, limit)

/** What is left of a job's open hold; nothing where it has none. */
export const heldFor = async (db: Queryable, resourceId: string): Promise<Nanos> =>
  (await selectOpenHold(db, resourceId))?.remaining_nanos ?? 0n

/**
 * Sets an amount aside for a run of a job, which does not begin without; the same again changes nothing. It locks the
 * account until the transaction ends: made for `atCommit`, and for the work of `withHold`.
 * Errors: HoldNotCovered, with the `refusal` of what is free; any other where the run had another hold, or the hold of
 * another run is open. After either the transaction can only be rolled back.
 */
export async function requireHold(
  tx: Transaction,
  held: HeldRun,
  owner: Owner,
  amountNanos: Nanos,
  refusal: (availableNanos: Nanos) => Error,
): Promise<void> {
  try {
    await insertHold(tx, held, owner, amountNanos)
  } catch (error) {
    if (sqlStateOf(error) !== SqlState.holdNotCovered) throw error
    const [free = '0', leased = '0'] = (error as { detail?: string }).detail?.split(' ') ?? []
    throw new HoldNotCovered(refusal(BigInt(free)), BigInt(leased))
  }
}

/** Gives back what the job did not spend, once. Locks the account: call it last, or `atCommit`, or where what follows
 * is locked behind the account everywhere. */
export async function releaseHold(tx: Transaction, resourceId: string, owner: Owner): Promise<void> {
  await Promise.all([lockAccounts(tx, [owner.userId]), closeHold(tx, resourceId, owner)])
}
