import { queryFirst, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { ownerValues, VISIBLE_TO_OWNER } from '../../core/visibility.ts'

export interface FileRow {
  id: string
  user_id: string
  project_id: string | null
  purpose: string
  filename: string | null
  state: 'uploading' | 'ready' | 'deleting'
  object_key: string
  bytes: bigint
  sha256: string
  created_at: Date
  expires_at: Date | null
}

export async function insertUploading(db: Queryable, owner: Owner, id: string, objectKey: string): Promise<void> {
  await db.query(
    `INSERT INTO files (id, user_id, project_id, purpose, state, object_key)
     VALUES ($1::text, $2::text, $3::text, '', 'uploading', $4::text)`,
    [id, owner.userId, owner.projectId, objectKey],
  )
}

export interface ReadyFile {
  purpose: string
  filename: string | null
  bytes: number
  sha256: string
}

export async function setReady(db: Queryable, id: string, file: ReadyFile): Promise<FileRow | undefined> {
  return queryFirst<FileRow>(
    db,
    `UPDATE files SET state = 'ready', purpose = $2::text, filename = $3::text, bytes = $4::bigint, sha256 = $5::text,
       created_at = now(), touched_at = now()
     WHERE id = $1::text AND state = 'uploading' RETURNING *`,
    [id, file.purpose, file.filename, file.bytes, file.sha256],
  )
}

/** What has come so far of one that is uploading. */
export async function setUploadedBytes(db: Queryable, id: string, bytes: number): Promise<void> {
  await db.query(
    `UPDATE files SET bytes = $2::bigint, touched_at = now() WHERE id = $1::text AND state = 'uploading'`,
    [id, bytes],
  )
}

export async function selectFile(db: Queryable, owner: Owner, id: string): Promise<FileRow | undefined> {
  const text = `SELECT * FROM files WHERE ${VISIBLE_TO_OWNER} AND id = $3::text AND state = 'ready'`
  return queryFirst<FileRow>(db, text, [...ownerValues(owner), id])
}

/** Keeps the file from being deleted until the transaction ends. */
export async function selectFileForUse(tx: Transaction, owner: Owner, id: string): Promise<FileRow | undefined> {
  const text = `SELECT * FROM files WHERE ${VISIBLE_TO_OWNER} AND id = $3::text AND state = 'ready' FOR KEY SHARE`
  return queryFirst<FileRow>(tx, text, [...ownerValues(owner), id])
}

export async function selectFileForDelete(tx: Transaction, owner: Owner, id: string): Promise<FileRow | undefined> {
  const text = `SELECT * FROM files WHERE ${VISIBLE_TO_OWNER} AND id = $3::text AND state = 'ready' FOR UPDATE`
  return queryFirst<FileRow>(tx, text, [...ownerValues(owner), id])
}

export async function selectFiles(
  db: Queryable,
  owner: Owner,
  page: { purpose: string | undefined; after: string | undefined; limit: number },
): Promise<FileRow[]> {
  const { rows } = await db.query<FileRow>(
    `SELECT * FROM files WHERE ${VISIBLE_TO_OWNER} AND state = 'ready'
       AND ($3::text IS NULL OR purpose = $3::text) AND ($4::text IS NULL OR id < $4::text)
     ORDER BY id DESC LIMIT $5::integer`,
    [...ownerValues(owner), page.purpose ?? null, page.after ?? null, page.limit],
  )
  return rows
}

export async function setDeleting(tx: Transaction, id: string): Promise<void> {
  await tx.query(`UPDATE files SET state = 'deleting', touched_at = now() WHERE id = $1::text`, [id])
}

export async function deleteFileRow(db: Queryable, id: string): Promise<void> {
  await db.query(`DELETE FROM files WHERE id = $1::text AND state <> 'ready'`, [id])
}

/** Uploads that were given up a day ago and deletions that did not finish an hour ago. */
export async function selectLeftovers(db: Queryable, limit: number): Promise<Pick<FileRow, 'id' | 'object_key'>[]> {
  const { rows } = await db.query<Pick<FileRow, 'id' | 'object_key'>>(
    `SELECT id, object_key FROM files
     WHERE (state = 'uploading' AND touched_at < now() - interval '24 hours')
        OR (state = 'deleting' AND touched_at < now() - interval '1 hour')
     LIMIT $1::integer`,
    [limit],
  )
  return rows
}
