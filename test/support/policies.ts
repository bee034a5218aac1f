import type { ContentCapturePolicy } from '../../domain/inference/capture/policy.schema.ts'
import type { Database } from '../../infra/postgres/database.ts'
import { newKey, newTenant, type Tenant } from './tenants.ts'

export const KEEP_ALL: ContentCapturePolicy = {
  mode: 'all',
  sample_rate: 1,
  retention_days: 7,
  redact: false,
  redaction_rule_id: null,
  max_chars_per_message: 20_000,
}

/** A tenant in a project with this policy; its key was never seen before the policy was set. */
export async function tenantWithPolicy(db: Database, changes: Partial<ContentCapturePolicy> = {}): Promise<Tenant> {
  const admin = await newTenant(db, { inProject: true })
  const { projectId } = admin
  if (projectId === undefined) throw new Error('the tenant is in no project')
  const reply = await putPolicy(admin, { ...KEEP_ALL, ...changes })
  if (reply.status !== 200) throw new Error(`the policy was refused: ${reply.text}`)
  return newKey(db, admin.userId, { projectId })
}

export const putPolicy = (tenant: Tenant, policy: object) =>
  tenant.api.send('PUT', `/projects/${tenant.projectId}/inference-policy`, {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(policy),
  })
