import type { Owner } from './tenancy.rules.ts'

/** The seen-by rule as SQL over ($1 user, $2 project): those of the key's project, or of its user where they have none. */
export const VISIBLE_TO_OWNER = 'user_id = $1::text AND (project_id IS NULL OR project_id = $2::text)'
export const ownerValues = (owner: Owner): [string, string | null] => [owner.userId, owner.projectId]
