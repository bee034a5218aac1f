import type { Database } from '../../../infra/postgres/database.ts'
import { notFound } from '../../core/errors.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { selectProject } from './project.sql.ts'

declare const entered: unique symbol

/**
 * A project that a caller may work in. It is made here alone, so a service that takes one cannot be called without
 * the check; what it reads and writes is that project's, whichever key came.
 */
export interface ProjectScope {
  readonly [entered]: true
  readonly projectId: string
  /** The project's account, which pays for what is made in it. */
  readonly userId: string
  /** Of what is made in it. */
  readonly owner: Owner & { projectId: string }
}

/**
 * Enters a project: a key of the account may enter all of its user's, a key of a project its own.
 * Errors: 404, the same for a project that is unknown and one that is another's.
 */
export async function enterProject(deps: { db: Database }, by: Owner, projectId: string): Promise<ProjectScope> {
  const mayBe = by.projectId === null || by.projectId === projectId
  const project = mayBe ? await selectProject(deps.db, projectId) : undefined
  if (project === undefined || project.user_id !== by.userId) throw notFound('project', 'project_id')
  return scopeOf(project.id, project.user_id)
}

/** The operator may enter every project. Errors: 404. */
export async function enterAnyProject(deps: { db: Database }, projectId: string): Promise<ProjectScope> {
  const project = await selectProject(deps.db, projectId)
  if (project === undefined) throw notFound('project', 'project_id')
  return scopeOf(project.id, project.user_id)
}

const scopeOf = (projectId: string, userId: string): ProjectScope =>
  ({ projectId, userId, owner: { userId, projectId } }) as unknown as ProjectScope
