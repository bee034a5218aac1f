import type { Owner } from './caller.rules.ts'

/**
 * What a key sees, as SQL over ($1 user, $2 project or null): a key of a project what is that project's, a key of the
 * account all that is its user's.
 */
export const VISIBLE_TO_OWNER = visibleIn('')
/** The same of an aliased table. */
export function visibleIn(alias: string): string {
  const of = alias === '' ? '' : `${alias}.`
  return `${of}user_id = $1::text AND ($2::text IS NULL OR ${of}project_id = $2::text)`
}

/**
 * What holds for a caller, over the same values: what is its project's, and what the account has for all of its projects
 * (its keys at providers). What holds for another project is none of an account's key's.
 */
export const HOLDS_FOR_OWNER = 'user_id = $1::text AND (project_id IS NULL OR project_id = $2::text)'

export const ownerValues = (owner: Owner): [string, string | null] => [owner.userId, owner.projectId]
