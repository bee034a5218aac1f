import { setTimeout as delay } from 'node:timers/promises'
import type { Database } from '../../../infra/postgres/database.ts'
import { countRecalled, markRecalled } from './lease.sql.ts'
import { HoldNotCovered } from '../ledger/hold-not-covered.ts'

export { leasedUserIds, releaseLeasesOf } from './lease.sql.ts'

/** Who is up answers in milliseconds; who is not is not waited for longer. */
const ANSWERED_WITHIN_MS = 1_000
const FIRST_LOOK_MS = 5
const LONGEST_PAUSE_MS = 50

/**
 * Has all processes, but one, give back what they have leased of the account and do not need for calls under way.
 * Resolves once they did, or after a second.
 */
export async function recallLeases(db: Database, userId: string, except = ''): Promise<void> {
  await markRecalled(db, userId, except)
  const giveUpAtMs = performance.now() + ANSWERED_WITHIN_MS
  for (let pauseMs = FIRST_LOOK_MS; performance.now() < giveUpAtMs; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS)) {
    if ((await countRecalled(db, userId, except)) === 0) return
    await delay(pauseMs)
  }
}

/**
 * Runs work that sets credit aside by `requireHold`. Where that is refused and processes have leased credit, it is
 * recalled, and the work is done once more. Errors: the hold's refusal; the work's.
 */
export async function withHold<T>(db: Database, userId: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work().catch(async (error: unknown) => {
      if (!(error instanceof HoldNotCovered) || error.leasedNanos === 0n) throw error
      await recallLeases(db, userId)
      return work()
    })
  } catch (error) {
    throw error instanceof HoldNotCovered ? error.refusal : error
  }
}
