import type { Log } from '../../../infra/log.ts'
import type { Metrics } from '../../../infra/metrics.ts'
import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { createLoop, type Loop } from '../../../infra/loop.ts'
import { countWaitingCommands } from './commands.sql.ts'

const EVERY_MS = 60_000
const MONTHS_AHEAD = 12

interface Deps {
  db: Database
  log: Log
  metrics: Metrics
  /** Each removes some of what crashed work left; true where there may be more. */
  sweeps: (() => Promise<boolean>)[]
}

/** Once a minute: month partitions ahead of time, sweeps, the gauge of waiting commands. All of it harmless to repeat. */
export const startMaintenance = (deps: Deps): Loop =>
  createLoop({ name: 'maintenance', everyMs: EVERY_MS, log: deps.log, turn: () => maintain(deps) })

async function maintain(deps: Deps): Promise<boolean> {
  await inTransaction(deps.db, async tx => {
    // A new month's partition locks its table: rather later than in the way of charges.
    await tx.query(`SET LOCAL lock_timeout = '1s'`)
    await tx.query('SELECT ensure_month_partitions($1::integer)', [MONTHS_AHEAD])
  })
  deps.metrics.waitingCommands.set(Number(await countWaitingCommands(deps.db)))
  const more = await Promise.all(deps.sweeps.map(sweep => sweep()))
  return more.includes(true)
}
