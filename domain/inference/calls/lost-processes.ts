import type { Log } from '../../../infra/log.ts'
import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import { createLoop, type Loop } from '../../../infra/loop.ts'
import { leasedUserIds, releaseLeasesOf } from '../../money/leases/leases.ts'
import { lockAccounts } from '../../money/ledger/ledger.service.ts'
import { insertWiredCalls } from './call.sql.ts'
import { deleteOpenCalls, selectOpenCalls } from './open-calls.sql.ts'
import { createProcessWatch, endSilentProcess, type ProcessRow } from '../../durable/processes/silent-processes.ts'

interface Deps {
  db: Database
  log: Log
}

/** Finds API processes that have ended without a word, and settles what they left. */
export function startLostProcesses(deps: Deps & { lostAfterMs: number }): Loop {
  const silentProcesses = createProcessWatch(deps)
  return createLoop({
    name: 'lost processes',
    everyMs: deps.lostAfterMs / 6,
    log: deps.log,
    turn: async () => {
      for (const row of await silentProcesses()) await settleLostProcess(deps, row)
      return false
    },
  })
}

/**
 * Records and charges what the process had under way, and gives back what it held; nothing where it has beaten since.
 * Should it live, its calls are recorded already: what it records of them later changes nothing.
 */
export async function settleLostProcess({ db, log }: Deps, row: ProcessRow): Promise<void> {
  let calls = 0
  const settle = async (tx: Transaction) => {
    const open = await selectOpenCalls(tx, row.id)
    await lockAccounts(tx, [...open.map(call => call.user_id), ...(await leasedUserIds(tx, row.id))])
    calls = open.length
    if (calls > 0) await recordOpenCalls(tx, row.id, open)
    await releaseLeasesOf(tx, row.id)
  }
  const isSettled = await inTransaction(db, tx => endSilentProcess(tx, row, () => settle(tx)))
  if (isSettled) log.warn({ processId: row.id, calls }, 'an API process was lost: what it held is given back')
}

async function recordOpenCalls(tx: Transaction, processId: string, open: readonly { call: object }[]): Promise<void> {
  await insertWiredCalls(
    tx,
    open.map(({ call }) => call),
  )
  await deleteOpenCalls(tx, processId)
}
