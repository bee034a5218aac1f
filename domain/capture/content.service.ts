import type { Database, Transaction } from '../../infra/postgres/database.ts'
import type { Owner } from '../tenancy/tenancy.rules.ts'
import { insertContents, selectContent, type CallWithContent, type ContentRow } from './content.sql.ts'

export type { ContentRow } from './content.sql.ts'

/** Keeps what there is to keep of calls, in the transaction that records them; each once however often it comes. */
export async function keepContents(tx: Transaction, calls: readonly CallWithContent[]): Promise<void> {
  const kept = calls.filter(call => call.content !== undefined)
  if (kept.length > 0) await insertContents(tx, kept)
}

/** What is kept of a request of the owner's; undefined where nothing is, or where it has expired. */
export const findContent = (
  { db }: { db: Database },
  owner: Owner,
  requestId: string,
): Promise<ContentRow | undefined> => selectContent(db, owner, requestId)
