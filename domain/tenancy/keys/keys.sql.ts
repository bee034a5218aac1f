import type { ContentPolicy } from '../../core/caller.rules.ts'
import type { KeyState } from './key.rules.ts'
import { queryFirst, type Queryable } from '../../../infra/postgres/database.ts'

/** Payload: the key's id, or empty where more than one key changed. */
export const KEY_CHANGES = 'ipop_api_keys'

export interface KeyRow {
  id: string
  user_id: string
  project_id: string | null
  name: string
  hint: string
  allowed_models: string[] | null
  external_processing: boolean
  requests_per_minute: number | null
  concurrent_streams: number | null
  requests_per_day: number | null
  smoke_test: boolean
  expires_at: Date | null
  created_at: Date
  revoked_at: Date | null
}

export interface AuthenticatedKeyRow extends KeyRow {
  user_disabled_at: Date | null
  /** Of the key's project. */
  content_policy: ContentPolicy | null
}

const COLUMNS = `id, user_id, project_id, name, hint, allowed_models, external_processing, requests_per_minute,
  concurrent_streams, requests_per_day, smoke_test, expires_at, created_at, revoked_at`

export interface NewKey {
  id: string
  sha256: Buffer
  hint: string
  userId: string
  projectId: string | null
  name: string
  allowedModels: string[] | null
  externalProcessing: boolean
  requestsPerMinute: number | null
  concurrentStreams: number | null
  requestsPerDay: number | null
  smokeTest: boolean
  expiresAt: Date | null
}

export async function insertKey(db: Queryable, key: NewKey): Promise<KeyRow | undefined> {
  return queryFirst<KeyRow>(
    db,
    `INSERT INTO api_keys (id, sha256, hint, user_id, project_id, name, allowed_models, external_processing,
       requests_per_minute, concurrent_streams, requests_per_day, smoke_test, expires_at)
     VALUES ($1::text, $2::bytea, $3::text, $4::text, $5::text, $6::text, $7::text[], $8::boolean,
       $9::integer, $10::integer, $11::integer, $12::boolean, $13::timestamptz)
     RETURNING ${COLUMNS}`,
    [
      key.id,
      key.sha256,
      key.hint,
      key.userId,
      key.projectId,
      key.name,
      key.allowedModels,
      key.externalProcessing,
      key.requestsPerMinute,
      key.concurrentStreams,
      key.requestsPerDay,
      key.smokeTest,
      key.expiresAt,
    ],
  )
}

export async function selectKeyByHash(db: Queryable, sha256: Buffer): Promise<AuthenticatedKeyRow | undefined> {
  return queryFirst<AuthenticatedKeyRow>(
    db,
    `SELECT k.*, u.disabled_at AS user_disabled_at, to_jsonb(p) AS content_policy
     FROM api_keys k JOIN users u ON u.id = k.user_id LEFT JOIN inference_policies p ON p.project_id = k.project_id
     WHERE k.sha256 = $1::bytea`,
    [sha256],
  )
}

/** Whether these keys are good still, read from the database itself. */
export async function selectKeyStates(db: Queryable, ids: readonly string[]): Promise<(KeyState & { id: string })[]> {
  const { rows } = await db.query<KeyState & { id: string }>(
    `SELECT k.id, k.revoked_at AS "revokedAt", k.expires_at AS "expiresAt", u.disabled_at AS "userDisabledAt"
     FROM api_keys k JOIN users u ON u.id = k.user_id WHERE k.id = ANY($1::text[])`,
    [ids],
  )
  return rows
}

export async function selectKeys(db: Queryable, userId: string | undefined): Promise<KeyRow[]> {
  const text = `SELECT ${COLUMNS} FROM api_keys WHERE $1::text IS NULL OR user_id = $1::text ORDER BY id`
  return (await db.query<KeyRow>(text, [userId ?? null])).rows
}

/** Says whether it was revoked before. */
export async function setKeyRevoked(
  db: Queryable,
  keyId: string,
): Promise<(KeyRow & { was_revoked: boolean }) | undefined> {
  const text = `WITH before AS (SELECT revoked_at IS NOT NULL AS was_revoked FROM api_keys WHERE id = $1::text FOR UPDATE)
    UPDATE api_keys SET revoked_at = coalesce(revoked_at, now()) FROM before WHERE id = $1::text
    RETURNING ${COLUMNS}, was_revoked`
  return queryFirst<KeyRow & { was_revoked: boolean }>(db, text, [keyId])
}

/** Reaches every process's cache when the transaction commits. */
export async function announceKeyChange(db: Queryable, keyId: string): Promise<void> {
  await db.query('SELECT pg_notify($1::text, $2::text)', [KEY_CHANGES, keyId])
}

/** Takes one request from the account's day (UTC); false where none is left. */
export async function takeDailyRequest(db: Queryable, userId: string, perDay: number): Promise<boolean> {
  const taken = await queryFirst(
    db,
    `INSERT INTO daily_requests AS d (user_id, day, requests)
     VALUES ($1::text, (now() AT TIME ZONE 'UTC')::date, 1)
     ON CONFLICT (user_id) DO UPDATE
       SET day = excluded.day, requests = CASE WHEN d.day = excluded.day THEN d.requests + 1 ELSE 1 END
       WHERE d.day <> excluded.day OR d.requests < $2::integer
     RETURNING 1`,
    [userId, perDay],
  )
  return taken !== undefined
}
