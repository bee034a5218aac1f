import { queryOne, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import { isExpiring, RETENTION } from './retention.rules.ts'

/** Removes rows of the table that have expired: how many, at most `limit`. */
export async function deleteExpiredRows(db: Queryable, table: string, limit: number): Promise<number> {
  const retention = RETENTION[table]
  if (!isExpiring(retention)) throw new TypeError(`the rows of ${table} do not expire`)
  const { days, key, expired } = retention
  const { rowCount } = await db.query(
    `DELETE FROM ${table} WHERE (${key}) IN (SELECT ${key} FROM ${table} WHERE ${expired} LIMIT $2::integer)`,
    [days, limit],
  )
  return rowCount
}

/** The month partitions of a table that ended so many days ago. */
export async function selectOldMonths(db: Queryable, table: string, days: number): Promise<string[]> {
  const { rows } = await db.query<{ partition: string }>(
    `SELECT c.relname AS partition FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
     WHERE i.inhparent = $1::text::regclass AND to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month'
       < now() - $2::integer * interval '1 day'
     ORDER BY 1`,
    [table, days],
  )
  return rows.map(({ partition }) => partition)
}

/** False where it holds rows still. Fails where its table is busy for a second: rather later than in the way of writes. */
export async function dropIfEmpty(tx: Transaction, table: string, partition: string): Promise<boolean> {
  await tx.query(`SET LOCAL lock_timeout = '1s'`)
  // In the order in which those who read take them.
  await tx.query(`LOCK TABLE ONLY ${table} IN ACCESS EXCLUSIVE MODE`)
  await tx.query(`LOCK TABLE ${partition} IN ACCESS EXCLUSIVE MODE`)
  const { is_empty: isEmpty } = await queryOne<{ is_empty: boolean }>(
    tx,
    `SELECT NOT EXISTS (SELECT FROM ${partition}) AS is_empty`,
  )
  if (isEmpty) await tx.query(`DROP TABLE ${partition}`)
  return isEmpty
}
