import type { Database } from '../../../infra/postgres/database.ts'
import { deleteExpiredContents } from './content.sql.ts'

const AT_ONCE = 1_000

/** Deletes all kept content that has expired, some at a time, each telling the total so far. Gives how many. */
export async function deleteExpired(
  { db }: { db: Database },
  work: { signal: AbortSignal; deleted(total: number): void },
): Promise<number> {
  for (let total = 0; ;) {
    work.signal.throwIfAborted()
    const deleted = await deleteExpiredContents(db, AT_ONCE)
    total += deleted
    work.deleted(total)
    if (deleted === 0) return total
  }
}
