import { queryFirst, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { ContentPolicy } from '../../core/caller.rules.ts'

const COLUMNS = 'mode, sample_rate, max_chars_per_message, redact, redaction_rule_id, retention_days'

/** Undefined where the project never had one. */
export const selectPolicy = (db: Queryable, projectId: string): Promise<ContentPolicy | undefined> =>
  queryFirst<ContentPolicy>(db, `SELECT ${COLUMNS} FROM inference_policies WHERE project_id = $1::text`, [projectId])

export async function upsertPolicy(tx: Transaction, projectId: string, policy: ContentPolicy): Promise<void> {
  await tx.query(
    `INSERT INTO inference_policies (project_id, ${COLUMNS})
     VALUES ($1::text, $2::text, $3::double precision, $4::integer, $5::boolean, $6::text, $7::integer)
     ON CONFLICT (project_id) DO UPDATE SET mode = excluded.mode, sample_rate = excluded.sample_rate,
       max_chars_per_message = excluded.max_chars_per_message, redact = excluded.redact,
       redaction_rule_id = excluded.redaction_rule_id, retention_days = excluded.retention_days, updated_at = now()`,
    [
      projectId,
      policy.mode,
      policy.sample_rate,
      policy.max_chars_per_message,
      policy.redact,
      policy.redaction_rule_id,
      policy.retention_days,
    ],
  )
}
