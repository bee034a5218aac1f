import type { Queryable, Database } from '../../../infra/postgres/database.ts'
import { type ProjectRow, insertProject, selectProjects } from './project.sql.ts'
import { requireName } from '../users/name.rules.ts'
import { requireUser } from '../users/user.service.ts'
import { newId } from '../../core/ids.ts'

export { selectProject } from './project.sql.ts'

interface Deps {
  db: Database
}

/** Errors: 404 for an unknown user. */
export async function createProject(deps: { db: Queryable }, userId: string, name: string): Promise<ProjectRow> {
  requireName(name)
  await requireUser(deps, userId)
  const project = await insertProject(deps.db, newId('proj'), userId, name)
  if (project === undefined) throw new Error('the project was not inserted')
  return project
}

export const listProjects = (deps: Deps, userId?: string): Promise<ProjectRow[]> => selectProjects(deps.db, userId)
