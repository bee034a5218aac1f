import { afterEach } from '@jest/globals'
import { createBalances, type Balances } from '../../domain/ledger/balances.ts'
import { LEASE_RECALLS } from '../../domain/ledger/lease.sql.ts'
import { ACCOUNT_CHANGES } from '../../domain/ledger/ledger.sql.ts'
import { settleLostProcess } from '../../domain/calls/lost-processes.ts'
import { beginProcessLife, type ProcessLife } from '../../domain/processes/process-life.ts'
import { listProcesses } from '../../domain/processes/silent-processes.ts'
import { createLog } from '../../infra/log.ts'
import type { Database } from '../../infra/postgres/database.ts'
import { openListener } from '../../infra/postgres/listener.ts'
import { testStack } from './stack.ts'

const log = createLog('test', 'silent')

/** What of an API process admits calls, over the run's database. */
export interface BalanceProcess {
  balances: Balances
  life: ProcessLife
}

interface Options {
  /** An hour unless told: then it is lost when the test says so. */
  lostAfterMs?: number
}

/** Makes such processes; they stop after the test. */
export function useBalanceProcesses(db: Database): (count: number, options?: Options) => Promise<BalanceProcess[]> {
  const ends: (() => Promise<void>)[] = []
  afterEach(async () => {
    await Promise.all(ends.splice(0).map(end => end()))
  })
  const start = async ({ lostAfterMs = 3_600_000 }: Options): Promise<BalanceProcess> => {
    const listener = await openListener(testStack().databaseUrl, [ACCOUNT_CHANGES, LEASE_RECALLS], log)
    const life = await beginProcessLife({ db, log, lostAfterMs })
    const balances = createBalances({ db, listener, life, log })
    ends.push(async () => {
      await balances.stop()
      await life.stop()
      await listener.close()
    })
    return { balances, life }
  }
  return (count, options = {}) => Promise.all(Array.from({ length: count }, () => start(options)))
}

/** As the control worker does with one that is silent. It may have just spoken: then once more. */
export async function declareLost(db: Database, id: string): Promise<void> {
  for (;;) {
    const row = (await listProcesses({ db })).find(process => process.id === id)
    if (row === undefined) return
    await settleLostProcess({ db, log }, row)
  }
}

/** What processes have leased of the account. */
export async function leasedNanos(db: Database, userId: string): Promise<bigint> {
  const { rows } = await db.query<{ leased_nanos: bigint }>('SELECT leased_nanos FROM accounts WHERE user_id = $1', [
    userId,
  ])
  return rows[0]?.leased_nanos ?? 0n
}
