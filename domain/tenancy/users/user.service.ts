import type { Database, Queryable, Transaction } from '../../../infra/postgres/database.ts'
import { type UserRow, selectUsers, selectUser, selectUserForUse } from './user.sql.ts'
import { notFound, unauthorized } from '../../core/errors.ts'

export { insertUser, setUserDisabled, type UserRow } from './user.sql.ts'

interface Deps {
  db: Database
}

export const listUsers = (deps: Deps): Promise<UserRow[]> => selectUsers(deps.db)

/** Errors: 404 for an unknown user. */
export async function requireUser(deps: { db: Queryable }, userId: string): Promise<UserRow> {
  const user = await selectUser(deps.db, userId)
  if (user === undefined) throw notFound('user', 'user')
  return user
}

/** Keeps the user from being disabled until the transaction ends. Errors: 401 where that has happened. */
export async function requireEnabledUser(tx: Transaction, userId: string): Promise<void> {
  const user = await selectUserForUse(tx, userId)
  if (user?.disabled_at !== null) throw unauthorized('This account is disabled.')
}
