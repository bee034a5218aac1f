import type { Database, Transaction } from '../../../infra/postgres/database.ts'
import { deleteProcess, lockSilentProcess, selectProcesses, type ProcessRow } from './process.sql.ts'
import { beginWatch, watch } from './watch.rules.ts'

export type { ProcessRow } from './process.sql.ts'

/** All that have not said goodbye. */
export const listProcesses = (deps: { db: Database }): Promise<ProcessRow[]> => selectProcesses(deps.db)

/** Each call is a look; gives the processes that have been silent for too long. */
export function createProcessWatch(deps: { db: Database; lostAfterMs: number }): () => Promise<ProcessRow[]> {
  const state = beginWatch(deps.lostAfterMs)
  return async () => watch(state, await listProcesses(deps), performance.now())
}

/**
 * Ends a process that has not beaten since, once `settle` has given back what it held; false where it has beaten, or is
 * gone. The process is locked: it holds nothing new.
 */
export async function endSilentProcess(
  tx: Transaction,
  row: ProcessRow,
  settle: () => Promise<unknown>,
): Promise<boolean> {
  if (!(await lockSilentProcess(tx, row))) return false
  await settle()
  await deleteProcess(tx, row.id)
  return true
}
