import { afterEach } from '@jest/globals'
import { createBalances, type Balances } from '../../domain/money/leases/balances.ts'
import { LEASE_RECALLS } from '../../domain/money/leases/lease.sql.ts'
import { ACCOUNT_CHANGES } from '../../domain/money/ledger/ledger.sql.ts'
import { settleLostProcess } from '../../domain/inference/calls/lost-processes.ts'
import { startProcessHeartbeat, type ProcessHeartbeat } from '../../domain/durable/processes/heartbeat.ts'
import { listProcesses } from '../../domain/durable/processes/silent-processes.ts'
import { createLog } from '../../infra/log.ts'
import type { Database } from '../../infra/postgres/database.ts'
import { openListener } from '../../infra/postgres/listener.ts'
import { testStack } from './stack.ts'

const log = createLog('test', 'silent')

/** What of an API process admits calls, over the run's database. */
export interface BalanceProcess {
  balances: Balances
  heartbeat: ProcessHeartbeat
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
    const heartbeat = await startProcessHeartbeat({ db, log, lostAfterMs })
    const balances = createBalances({ db, listener, heartbeat, log })
    ends.push(async () => {
      await balances.stop()
      await heartbeat.stop()
      await listener.close()
    })
    return { balances, heartbeat }
  }
  return (count, options = {}) => Promise.all(Array.from({ length: count }, () => start(options)))
}

/** As the control worker does with one that is silent. It may have just beaten: then once more. */
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
