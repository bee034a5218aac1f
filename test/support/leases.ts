import type { Database } from '../../infra/postgres/database.ts'
import type { RequestWindow } from '../../domain/tenancy/limits/request-window.rules.ts'
import type { StreamSlots } from '../../domain/tenancy/limits/stream-slots.rules.ts'
import type { Tenant } from './tenants.ts'

interface States {
  requests: RequestWindow
  streams: StreamSlots
}

/** What is leased of the key's limit; undefined where nothing ever was. */
export async function leasesOf<Kind extends keyof States>(
  db: Database,
  { keyId }: Tenant,
  kind: Kind,
): Promise<States[Kind] | undefined> {
  const { rows } = await db.query<{ state: States[Kind] }>(
    'SELECT state FROM api_key_leases WHERE key_id = $1 AND kind = $2',
    [keyId, kind],
  )
  return rows[0]?.state
}

/** The key's requests were made so much earlier. */
export async function ageRequests(db: Database, tenant: Tenant, ms: number): Promise<void> {
  const window = await leasesOf(db, tenant, 'requests')
  const used = window?.used.map(([atMs, requests]) => [atMs - ms, requests])
  await db.query(`UPDATE api_key_leases SET state = $2 WHERE key_id = $1 AND kind = 'requests'`, [
    tenant.keyId,
    JSON.stringify({ ...window, used }),
  ])
}
