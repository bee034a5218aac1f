import { type Queryable, queryFirst } from '../../../infra/postgres/database.ts'

export interface ProjectRow {
  id: string
  user_id: string
  name: string
  created_at: Date
}

export async function insertProject(
  db: Queryable,
  id: string,
  userId: string,
  name: string,
): Promise<ProjectRow | undefined> {
  const text = 'INSERT INTO projects (id, user_id, name) VALUES ($1::text, $2::text, $3::text) RETURNING *'
  return queryFirst<ProjectRow>(db, text, [id, userId, name])
}

export async function selectProjects(db: Queryable, userId: string | undefined): Promise<ProjectRow[]> {
  const text = 'SELECT * FROM projects WHERE $1::text IS NULL OR user_id = $1::text ORDER BY id'
  return (await db.query<ProjectRow>(text, [userId ?? null])).rows
}

export async function selectProject(db: Queryable, id: string): Promise<ProjectRow | undefined> {
  return queryFirst<ProjectRow>(db, 'SELECT * FROM projects WHERE id = $1::text', [id])
}
