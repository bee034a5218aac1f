import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { appendEvent } from '../../durable/outbox/events.service.ts'
import { takeLowAccounts } from './ledger.sql.ts'
import { usdNumber } from './money.rules.ts'

const AT_ONCE = 100

/**
 * Tells accounts whose balance has fallen below a tenth of what it was after their last credit, once until the next.
 * A sweep, and not a part of what charges: the way of calls has nothing to do for it. True where there may be more.
 */
export async function announceLowCredit({ db }: { db: Database }): Promise<boolean> {
  const low = await inTransaction(db, async tx => {
    const accounts = await takeLowAccounts(tx, AT_ONCE)
    for (const { user_id: userId, balance_nanos: balance, low_below_nanos: below } of accounts) {
      const payload = { balance_usd: usdNumber(balance), below_usd: usdNumber(below) }
      appendEvent(tx, { owner: { userId, projectId: null }, type: 'credit.low', subject: userId, payload })
    }
    return accounts.length
  })
  return low === AT_ONCE
}
