import type { Queryable } from '../../../infra/postgres/database.ts'
import type { Caller } from '../../core/caller.rules.ts'
import type { RequestFeedbackRequest } from './history.schema.ts'

export async function upsertFeedback(
  db: Queryable,
  { owner, keyId }: Caller,
  requestId: string,
  { rating, outcome, task_type: taskType, notes }: RequestFeedbackRequest,
): Promise<void> {
  await db.query(
    `INSERT INTO request_feedback AS f (request_id, api_key_id, user_id, project_id, rating, outcome, task_type, notes)
     VALUES ($1::uuid, $2::text, $3::text, $4::text, $5::smallint, $6::text, $7::text, $8::text)
     ON CONFLICT (request_id, api_key_id) DO UPDATE SET rating = coalesce(excluded.rating, f.rating),
       outcome = coalesce(excluded.outcome, f.outcome), task_type = coalesce(excluded.task_type, f.task_type),
       notes = coalesce(excluded.notes, f.notes), updated_at = now()`,
    [requestId, keyId, owner.userId, owner.projectId, rating ?? null, outcome ?? null, taskType ?? null, notes ?? null],
  )
}
