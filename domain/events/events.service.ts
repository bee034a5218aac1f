import type { Transaction } from '../../infra/postgres/database.ts'
import type { Owner } from '../tenancy/tenancy.rules.ts'

export interface ProjectEvent {
  owner: Owner
  /** `<resource kind>.<what happened>`, such as `batch.completed`. */
  type: string
  resourceId: string
  data: Record<string, unknown>
}

/** Tells what happened, in the transaction in which it did. `data` holds ids, states and figures, never content. */
export async function appendEvent(tx: Transaction, event: ProjectEvent): Promise<void> {
  await tx.query(
    `INSERT INTO project_events (user_id, project_id, type, resource_id, data)
     VALUES ($1::text, $2::text, $3::text, $4::text, $5::jsonb)`,
    [event.owner.userId, event.owner.projectId, event.type, event.resourceId, JSON.stringify(event.data)],
  )
}
