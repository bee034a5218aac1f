import { queryFirst, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'

export interface ProcessRow {
  id: string
  /** As text, to the microsecond: it tells one saying from the next, and is never compared with a clock. */
  beat_at: string
}

export async function insertProcess(db: Queryable, id: string): Promise<void> {
  await db.query('INSERT INTO api_processes (id) VALUES ($1::text)', [id])
}

/** False where the process was declared lost. */
export async function touchProcess(db: Queryable, id: string): Promise<boolean> {
  const text = 'UPDATE api_processes SET beat_at = clock_timestamp() WHERE id = $1::text'
  return (await db.query(text, [id])).rowCount === 1
}

export async function deleteProcess(db: Queryable, id: string): Promise<void> {
  await db.query('DELETE FROM api_processes WHERE id = $1::text', [id])
}

export async function selectProcesses(db: Queryable): Promise<ProcessRow[]> {
  return (await db.query<ProcessRow>('SELECT id, beat_at::text AS beat_at FROM api_processes')).rows
}

/** Locks a process that has not beaten since; false where it has, or is gone. It holds nothing new from here on. */
export async function lockSilentProcess(tx: Transaction, { id, beat_at }: ProcessRow): Promise<boolean> {
  const text = 'SELECT id FROM api_processes WHERE id = $1::text AND beat_at::text = $2::text FOR UPDATE'
  return (await queryFirst(tx, text, [id, beat_at])) !== undefined
}
