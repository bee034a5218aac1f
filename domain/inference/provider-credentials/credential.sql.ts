import { queryFirst, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { Provider } from '../catalog/catalog.schema.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { ownerValues, HOLDS_FOR_OWNER } from '../../core/visibility.ts'

/** Payload: the user's id. */
export const CREDENTIAL_CHANGES = 'ipop_credentials'

export interface CredentialRow {
  id: string
  user_id: string
  project_id: string | null
  provider: Provider
  label: string
  base_url: string | null
  /** Both null where there is no key. */
  secrets_key_id: string | null
  sealed_key: Buffer | null
  masked_key: string
  revision: number
  enabled: boolean
  health: 'untested' | 'healthy' | 'error'
  last_error: string | null
  last_tested_at: Date | null
  last_used_at: Date | null
}

export interface SealedColumns {
  secretsKeyId: string | null
  sealedKey: Buffer | null
  maskedKey: string
}

export interface NewCredential extends SealedColumns {
  id: string
  provider: Provider
  label: string
  baseUrl: string | null
}

/** Undefined where the account has `most` already. */
export async function insertCredential(
  tx: Transaction,
  owner: Owner,
  credential: NewCredential,
  most: number,
): Promise<CredentialRow | undefined> {
  return queryFirst<CredentialRow>(
    tx,
    `INSERT INTO provider_credentials
       (user_id, project_id, id, provider, label, base_url, secrets_key_id, sealed_key, masked_key)
     SELECT $1::text, $2::text, $3::text, $4::text, $5::text, $6::text, $7::text, $8::bytea, $9::text
     WHERE (SELECT count(*) FROM provider_credentials WHERE user_id = $1::text) < $10::integer
     RETURNING *`,
    [
      ...ownerValues(owner),
      credential.id,
      credential.provider,
      credential.label,
      credential.baseUrl,
      credential.secretsKeyId,
      credential.sealedKey,
      credential.maskedKey,
      most,
    ],
  )
}

/** The newest first. */
export async function selectCredentials(db: Queryable, owner: Owner): Promise<CredentialRow[]> {
  const text = `SELECT * FROM provider_credentials WHERE ${HOLDS_FOR_OWNER} ORDER BY id DESC`
  return (await db.query<CredentialRow>(text, ownerValues(owner))).rows
}

/** Those that calls may use, for each provider the one to use first: the project's own, then the newest. */
export async function selectUsable(db: Queryable, owner: Owner): Promise<CredentialRow[]> {
  const { rows } = await db.query<CredentialRow>(
    `SELECT * FROM provider_credentials WHERE ${HOLDS_FOR_OWNER} AND enabled AND sealed_key IS NOT NULL
     ORDER BY project_id IS NULL, id DESC`,
    ownerValues(owner),
  )
  return rows
}

export async function selectCredential(db: Queryable, owner: Owner, id: string): Promise<CredentialRow | undefined> {
  const text = `SELECT * FROM provider_credentials WHERE ${HOLDS_FOR_OWNER} AND id = $3::text`
  return queryFirst<CredentialRow>(db, text, [...ownerValues(owner), id])
}

export async function selectCredentialForChange(
  tx: Transaction,
  owner: Owner,
  id: string,
): Promise<CredentialRow | undefined> {
  const text = `SELECT * FROM provider_credentials WHERE ${HOLDS_FOR_OWNER} AND id = $3::text FOR UPDATE`
  return queryFirst<CredentialRow>(tx, text, [...ownerValues(owner), id])
}

export interface CredentialSettings {
  label: string
  enabled: boolean
  baseUrl: string | null
}

export async function setSettings(
  tx: Transaction,
  owner: Owner,
  id: string,
  settings: CredentialSettings,
): Promise<CredentialRow | undefined> {
  return queryFirst<CredentialRow>(
    tx,
    `UPDATE provider_credentials SET label = $4::text, enabled = $5::boolean, base_url = $6::text
     WHERE ${HOLDS_FOR_OWNER} AND id = $3::text RETURNING *`,
    [...ownerValues(owner), id, settings.label, settings.enabled, settings.baseUrl],
  )
}

/** Another key, or none: nothing is known of it yet. */
export async function setKey(tx: Transaction, owner: Owner, id: string, key: SealedColumns): Promise<void> {
  await tx.query(
    `UPDATE provider_credentials
     SET secrets_key_id = $4::text, sealed_key = $5::bytea, masked_key = $6::text, revision = revision + 1,
       health = 'untested', last_error = NULL, last_tested_at = NULL
     WHERE ${HOLDS_FOR_OWNER} AND id = $3::text`,
    [...ownerValues(owner), id, key.secretsKeyId, key.sealedKey, key.maskedKey],
  )
}

/** What a test found out; nothing where key or address have changed meanwhile. */
export async function setTested(
  db: Queryable,
  owner: Owner,
  credential: Pick<CredentialRow, 'id' | 'revision'>,
  lastError: string | null,
): Promise<CredentialRow | undefined> {
  return queryFirst<CredentialRow>(
    db,
    `UPDATE provider_credentials
     SET health = CASE WHEN $5::text IS NULL THEN 'healthy' ELSE 'error' END, last_error = $5::text, last_tested_at = now()
     WHERE ${HOLDS_FOR_OWNER} AND id = $3::text AND revision = $4::integer RETURNING *`,
    [...ownerValues(owner), credential.id, credential.revision, lastError],
  )
}

export async function deleteCredentialRow(tx: Transaction, owner: Owner, id: string): Promise<void> {
  await tx.query(`DELETE FROM provider_credentials WHERE ${HOLDS_FOR_OWNER} AND id = $3::text`, [
    ...ownerValues(owner),
    id,
  ])
}

/** Reaches every process's cache when the transaction commits. */
export async function announceCredentialChange(tx: Transaction, owner: Owner): Promise<void> {
  await tx.query('SELECT pg_notify($1::text, $2::text)', [CREDENTIAL_CHANGES, owner.userId])
}

/** A call over the key has succeeded: it is good. At most once a minute, whoever else writes it. */
export async function setUsed(db: Queryable, owner: Owner, id: string): Promise<void> {
  await db.query(
    `UPDATE provider_credentials SET last_used_at = now(), health = 'healthy', last_error = NULL
     WHERE ${HOLDS_FOR_OWNER} AND id = $3::text
       AND (health <> 'healthy' OR last_used_at IS NULL OR last_used_at < now() - interval '1 minute')`,
    [...ownerValues(owner), id],
  )
}

export async function setFailed(db: Queryable, owner: Owner, id: string, lastError: string): Promise<void> {
  await db.query(
    `UPDATE provider_credentials SET last_used_at = now(), health = 'error', last_error = $4::text
     WHERE ${HOLDS_FOR_OWNER} AND id = $3::text`,
    [...ownerValues(owner), id, lastError],
  )
}

/** For the operator's rotation: of every owner, in order, those that another secrets key has sealed. */
export async function selectSealedOtherwise(
  tx: Transaction,
  secretsKeyId: string,
  page: { after: string; limit: number },
): Promise<CredentialRow[]> {
  const { rows } = await tx.query<CredentialRow>(
    `SELECT * FROM provider_credentials
     WHERE sealed_key IS NOT NULL AND secrets_key_id <> $1::text AND id > $2::text
     ORDER BY id LIMIT $3::integer FOR UPDATE`,
    [secretsKeyId, page.after, page.limit],
  )
  return rows
}

/** The same key under another seal: nothing else of the credential changes. */
export async function setResealed(
  tx: Transaction,
  id: string,
  sealed: { secretsKeyId: string; sealedKey: Buffer },
): Promise<void> {
  await tx.query(
    'UPDATE provider_credentials SET secrets_key_id = $2::text, sealed_key = $3::bytea WHERE id = $1::text',
    [id, sealed.secretsKeyId, sealed.sealedKey],
  )
}

export async function countSealedBy(db: Queryable, secretsKeyId: string): Promise<number> {
  const text = 'SELECT count(*) AS sealed FROM provider_credentials WHERE secrets_key_id = $1::text'
  return Number((await queryFirst<{ sealed: bigint }>(db, text, [secretsKeyId]))?.sealed ?? 0)
}
