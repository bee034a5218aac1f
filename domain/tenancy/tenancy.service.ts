import { inTransaction, type Database, type Queryable, type Transaction } from '../../infra/postgres/database.ts'
import { badRequest, notFound, unauthorized } from '../errors.ts'
import { newId } from '../ids.ts'
import { cancelJobsOfUser } from '../jobs/jobs.service.ts'
import { openAccount } from '../ledger/ledger.service.ts'
import { announceKeyChange } from './keys.sql.ts'
import {
  insertProject,
  insertUser,
  selectProjects,
  selectUser,
  selectUserForUse,
  selectUsers,
  setUserDisabled,
  type ProjectRow,
  type UserRow,
} from './tenancy.sql.ts'

interface Deps {
  db: Database
}

const NAME_LIMIT = 200

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

/** Refuses the user's keys everywhere at once and stops the user's jobs. */
export async function disableUser(deps: Deps, userId: string): Promise<UserRow> {
  return inTransaction(deps.db, async tx => {
    const user = await setUserDisabled(tx, userId, true)
    if (user === undefined) throw notFound('user', 'user')
    await cancelJobsOfUser(tx, userId)
    await announceKeyChange(tx, '')
    return user
  })
}

export async function enableUser(deps: Deps, userId: string): Promise<UserRow> {
  return inTransaction(deps.db, async tx => {
    const user = await setUserDisabled(tx, userId, false)
    if (user === undefined) throw notFound('user', 'user')
    await announceKeyChange(tx, '')
    return user
  })
}

/** Errors: 404 for an unknown user. */
export async function createProject(deps: { db: Queryable }, userId: string, name: string): Promise<ProjectRow> {
  requireName(name)
  await requireUser(deps, userId)
  const project = await insertProject(deps.db, newId('proj'), userId, name)
  if (project === undefined) throw new Error('the project was not inserted')
  return project
}

export const listProjects = (deps: Deps, userId?: string): Promise<ProjectRow[]> => selectProjects(deps.db, userId)

function requireName(name: string): void {
  if (name.trim() === '' || name.length > NAME_LIMIT)
    throw badRequest(`A name has 1 to ${NAME_LIMIT} characters.`, 'name')
}
