import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { lockLeases, storeLeases, type LimitKind } from './limits.sql.ts'

/** Changes what is leased of a key's limit, one process at a time. Errors: where the database is away. */
export function exchangeLeases<State extends object, Grant>(
  db: Database,
  keyId: string,
  kind: LimitKind,
  exchange: (state: State | undefined, nowMs: number) => { state: State; grant: Grant },
): Promise<Grant> {
  return inTransaction(db, async tx => {
    const { state, nowMs } = await lockLeases<State>(tx, keyId, kind)
    const next = exchange(state, nowMs)
    await storeLeases(tx, keyId, kind, next.state)
    return next.grant
  })
}
