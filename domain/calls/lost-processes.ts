import type { Log } from '../../infra/log.ts'
import { inTransaction, type Database } from '../../infra/postgres/database.ts'
import { createLoop, type Loop } from '../jobs/loop.ts'
import { releaseLeasesOf } from '../ledger/leases.ts'
import { createProcessWatch, endSilentProcess, type ProcessRow } from '../processes/silent-processes.ts'

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

/** Gives back what the process held, once; nothing where it has spoken since. */
export async function settleLostProcess({ db, log }: Deps, row: ProcessRow): Promise<void> {
  const isSettled = await inTransaction(db, tx => endSilentProcess(tx, row, () => releaseLeasesOf(tx, row.id)))
  if (isSettled) log.warn({ processId: row.id }, 'an API process was lost: what it held is given back')
}
