import { randomUUID } from 'node:crypto'
import type { Database } from '../../infra/postgres/database.ts'

const FUNCTION = `CREATE OR REPLACE FUNCTION refuse_for_test() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN RAISE EXCEPTION 'refused for a test'; END $$`

/** What is refused of an account: writes of one kind to one table, whichever process makes them. */
export interface RefusedWrites {
  table: 'inference_requests' | 'responses' | 'kept_replies'
  write: 'INSERT' | 'UPDATE'
  userId: string
}

/** Makes the database refuse writes of an account, as a full disk or a broken constraint does, until the function is called. */
export async function refuseWrites(
  db: Database,
  { table, write, userId }: RefusedWrites,
): Promise<() => Promise<void>> {
  const name = `refuse_${randomUUID().replaceAll('-', '')}`
  await db.query(FUNCTION)
  await db.query(`CREATE TRIGGER ${name} BEFORE ${write} ON ${table} FOR EACH ROW
    WHEN (NEW.user_id = '${userId}') EXECUTE FUNCTION refuse_for_test()`)
  return async () => void (await db.query(`DROP TRIGGER ${name} ON ${table}`))
}
