import { queryOne, type Transaction } from '../../../infra/postgres/database.ts'

export type LimitKind = 'requests' | 'streams'

/** Locks what is leased of a key's limit; undefined state where nothing ever was. The time is read under the lock. */
export async function lockLeases<State>(
  tx: Transaction,
  keyId: string,
  kind: LimitKind,
): Promise<{ state: State | undefined; nowMs: number }> {
  const row = await queryOne<{ state: State | null; now_ms: number }>(
    tx,
    `INSERT INTO api_key_leases AS l (key_id, kind, state) VALUES ($1::text, $2::text, 'null')
     ON CONFLICT (key_id, kind) DO UPDATE SET state = l.state
     RETURNING state, floor(extract(epoch FROM clock_timestamp()) * 1000)::double precision AS now_ms`,
    [keyId, kind],
  )
  return { state: row.state ?? undefined, nowMs: row.now_ms }
}

export async function storeLeases(tx: Transaction, keyId: string, kind: LimitKind, state: object): Promise<void> {
  await tx.query('UPDATE api_key_leases SET state = $3::jsonb WHERE key_id = $1::text AND kind = $2::text', [
    keyId,
    kind,
    JSON.stringify(state),
  ])
}
