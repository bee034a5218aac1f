import { type Queryable, queryFirst, type Transaction } from '../../../infra/postgres/database.ts'

export interface UserRow {
  id: string
  name: string
  created_at: Date
  disabled_at: Date | null
}

export async function insertUser(db: Queryable, id: string, name: string): Promise<UserRow | undefined> {
  return queryFirst<UserRow>(db, 'INSERT INTO users (id, name) VALUES ($1::text, $2::text) RETURNING *', [id, name])
}

export async function selectUsers(db: Queryable): Promise<UserRow[]> {
  return (await db.query<UserRow>('SELECT * FROM users ORDER BY id')).rows
}

export async function selectUser(db: Queryable, id: string): Promise<UserRow | undefined> {
  return queryFirst<UserRow>(db, 'SELECT * FROM users WHERE id = $1::text', [id])
}

export async function selectUserForUse(tx: Transaction, id: string): Promise<UserRow | undefined> {
  return queryFirst<UserRow>(tx, 'SELECT * FROM users WHERE id = $1::text FOR SHARE', [id])
}

export async function setUserDisabled(db: Queryable, id: string, disabled: boolean): Promise<UserRow | undefined> {
  const disabledAt = disabled ? 'coalesce(disabled_at, now())' : 'NULL'
  return queryFirst<UserRow>(db, `UPDATE users SET disabled_at = ${disabledAt} WHERE id = $1::text RETURNING *`, [id])
}
