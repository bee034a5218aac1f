import type { Database } from '../../../infra/postgres/database.ts'
import { insertAdminUse, type AdminUse } from './admin-uses.sql.ts'

const LONGEST_PATH = 1_024

/** Puts a use of the admin token on record. */
export const recordAdminUse = ({ db }: { db: Database }, use: AdminUse): Promise<void> =>
  insertAdminUse(db, { ...use, path: use.path.slice(0, LONGEST_PATH).toWellFormed() })
