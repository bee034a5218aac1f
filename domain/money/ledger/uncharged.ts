import type { Log } from '../../../infra/log.ts'
import type { Metrics } from '../../../infra/metrics.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import { usdNumber, type Nanos } from './money.rules.ts'
import { addUncharged } from '../../durable/jobs/jobs.service.ts'

interface Deps {
  db: Database
  log: Log
  metrics: Metrics
}

/** What a job used upstream, at our prices, that nobody is charged for. */
export interface Uncharged {
  resourceId: string
  upstream: string
  nanos: Nanos
  /** Why it is not charged. */
  error: unknown
  /** What of the job it was, for the log: `{ attempt: 2 }`. */
  of: object
}

/** Tells operators: an error in the log, the metric, and the job's sum, which `ipop jobs` shows. Never fails. */
export async function noteUncharged({ db, log, metrics }: Deps, uncharged: Uncharged): Promise<void> {
  const { resourceId, upstream, nanos, error, of } = uncharged
  if (nanos <= 0n) return
  const fields = { jobId: resourceId, upstream, ...of }
  log.error({ ...fields, costUsd: usdNumber(nanos), err: error }, 'what an attempt used upstream is charged to nobody')
  metrics.unchargedUsd.inc({ upstream }, usdNumber(nanos))
  await addUncharged(db, resourceId, nanos).catch((cause: unknown) =>
    log.error({ ...fields, err: cause }, 'what was used upstream could not be noted'),
  )
}
