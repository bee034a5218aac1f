import type { Queryable } from '../../../infra/postgres/database.ts'

/** A request that came by the admin token. */
export interface AdminUse {
  requestId: string
  /** Such as `GET /admin/inference/policy`. */
  operation: string
  /** As it was sent, without its query. */
  path: string
  clientAddress: string
}

export async function insertAdminUse(db: Queryable, use: AdminUse): Promise<void> {
  await db.query(
    `INSERT INTO admin_uses (request_id, operation, path, client_address)
     VALUES ($1::uuid, $2::text, $3::text, $4::text)`,
    [use.requestId, use.operation, use.path, use.clientAddress],
  )
}
