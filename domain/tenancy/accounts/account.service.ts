import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import { notFound } from '../../core/errors.ts'
import { newId } from '../../core/ids.ts'
import { cancelJobsOfUser } from '../../durable/jobs/jobs.service.ts'
import { openAccount } from '../../money/ledger/ledger.service.ts'
import { announceKeyChanges } from '../keys/keys.service.ts'
import { insertUser, setUserDisabled, type UserRow } from '../users/user.service.ts'
import { requireName } from '../users/name.rules.ts'

interface Deps {
  db: Database
}

/** Makes a billing account with an empty ledger. */
export async function createUser(deps: Deps, name: string): Promise<UserRow> {
  return inTransaction(deps.db, tx => createUserIn(tx, name))
}

/** The same within a transaction. */
export async function createUserIn(tx: Transaction, name: string): Promise<UserRow> {
  requireName(name)
  const user = await insertUser(tx, newId('user'), name)
  if (user === undefined) throw new Error('the user was not inserted')
  await openAccount(tx, user.id)
  return user
}

/** Refuses the user's keys everywhere at once and stops the user's jobs. */
export async function disableUser(deps: Deps, userId: string): Promise<UserRow> {
  return inTransaction(deps.db, async tx => {
    const user = await setUserDisabled(tx, userId, true)
    if (user === undefined) throw notFound('user', 'user')
    await cancelJobsOfUser(tx, userId)
    await announceKeyChanges(tx)
    return user
  })
}

export async function enableUser(deps: Deps, userId: string): Promise<UserRow> {
  return inTransaction(deps.db, async tx => {
    const user = await setUserDisabled(tx, userId, false)
    if (user === undefined) throw notFound('user', 'user')
    await announceKeyChanges(tx)
    return user
  })
}
