import { inTransaction, type Database } from '../../../infra/postgres/database.ts'
import { badRequest } from '../../core/errors.ts'
import { announceKeyChanges } from '../../tenancy/keys/keys.service.ts'
import type { ProjectScope } from '../../tenancy/projects/project-scope.ts'
import type { Owner, ContentPolicy } from '../../core/caller.rules.ts'
import type { ContentCapturePolicy } from './policy.schema.ts'
import { selectPolicy, upsertPolicy } from './policy.sql.ts'
import { REDACTION_RULES } from '../redaction/redaction.rules.ts'

interface Deps {
  db: Database
}

/** Nothing is kept of a project that never said otherwise. */
const DEFAULT_POLICY: ContentPolicy = {
  mode: 'off',
  sample_rate: 1,
  retention_days: 30,
  redact: true,
  redaction_rule_id: null,
  max_chars_per_message: 20_000,
}

export const getContentPolicy = async (deps: Deps, { projectId }: ProjectScope): Promise<ContentCapturePolicy> =>
  (await selectPolicy(deps.db, projectId)) ?? DEFAULT_POLICY

/** Holds for calls that begin after it was told to every process; what is kept already goes at its time at the latest. */
export async function putContentPolicy(
  deps: Deps,
  { projectId }: ProjectScope,
  given: ContentCapturePolicy,
): Promise<ContentCapturePolicy> {
  const policy = { ...given, redaction_rule_id: given.redaction_rule_id ?? null }
  if (policy.redaction_rule_id !== null && !REDACTION_RULES.includes(policy.redaction_rule_id)) {
    throw badRequest(`\`redaction_rule_id\` must be one of ${REDACTION_RULES.join(', ')}.`, 'redaction_rule_id')
  }
  await inTransaction(deps.db, async tx => {
    await upsertPolicy(tx, projectId, policy)
    await announceKeyChanges(tx)
  })
  return policy
}

/** The policy of work that outlives its request; null where nothing is kept. */
export async function contentPolicyOf(deps: Deps, owner: Owner): Promise<ContentPolicy | null> {
  if (owner.projectId === null) return null
  return (await selectPolicy(deps.db, owner.projectId)) ?? null
}
