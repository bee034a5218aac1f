import type { Database, Transaction } from '../../../infra/postgres/database.ts'
import type { TaskOwner, ThreadWork } from '../threads/thread-work.ts'
import type { Log } from '../../../infra/log.ts'
import { isKept, type CallContent, type KeptContent } from '../redaction/capture.rules.ts'
import type { ContentPolicy, Owner } from '../../core/caller.rules.ts'
import { insertContents, selectContent, type CallWithContent, type ContentRow } from './content.sql.ts'

export interface KeepingDeps {
  threadWork: ThreadWork
  log: Log
}

/**
 * What the policy keeps of a call, found in a thread; undefined at once where that is nothing. A failure keeps nothing,
 * and the call is recorded all the same.
 */
export function keptContent(
  { threadWork, log }: KeepingDeps,
  taskOwner: TaskOwner,
  policy: ContentPolicy | null,
  call: CallContent,
): Promise<KeptContent | undefined> | undefined {
  if (!isKept(policy, call.requestId)) return undefined
  return threadWork.keepContent(taskOwner, policy, call).catch((error: unknown) => {
    log.error({ requestId: call.requestId, err: error }, "a call's content could not be kept")
    return undefined
  })
}

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
