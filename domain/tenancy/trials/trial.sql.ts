import { queryFirst, queryOne, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'

/** Any constant that no other lock of ours uses. */
const TRIALS_LOCK = 7_417_008
const TODAY = `(now() AT TIME ZONE 'UTC')::date`
const DAY_BEGAN = `date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC'`

export interface TrialRow {
  id: string
  user_id: string
  project_id: string
  key_id: string
  expires_at: Date
  has_ended: boolean
  /** Keys that were made for it today. */
  keys_today: number
}

const COLUMNS = `t.id, t.user_id, t.project_id, t.key_id, t.expires_at, t.expires_at <= now() AS has_ended,
  CASE WHEN t.key_day = ${TODAY} THEN t.keys_of_day ELSE 0 END AS keys_today`

/** One transaction at a time from here on, in every process: what it counts stays so until it ends. */
export async function lockTrials(tx: Transaction): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock($1::bigint)', [TRIALS_LOCK])
}

/** Whether any of these has a trial. Whose it is, nobody is told who only knows these. */
export async function isAnyKnown(db: Queryable, hashes: readonly Buffer[]): Promise<boolean> {
  const text = 'SELECT FROM trial_identities WHERE hash = ANY($1::bytea[]) LIMIT 1'
  return (await db.query(text, [hashes])).rowCount > 0
}

/** The trial whose key, unless it is revoked, or whose renewal secret has one of these hashes. */
export async function selectTrialProvenBy(db: Queryable, sha256s: readonly Buffer[]): Promise<TrialRow | undefined> {
  if (sha256s.length === 0) return undefined
  return queryFirst<TrialRow>(
    db,
    `SELECT ${COLUMNS} FROM trials t WHERE t.id IN (
       SELECT of_key.id FROM api_keys k JOIN trials of_key ON of_key.key_id = k.id
       WHERE k.sha256 = ANY($1::bytea[]) AND k.revoked_at IS NULL
       UNION ALL SELECT of_secret.id FROM trials of_secret WHERE of_secret.renewal_sha256 = ANY($1::bytea[])
     ) LIMIT 1`,
    [sha256s],
  )
}

/** How many trials began today, in all and from the address. */
export async function countTrialsToday(db: Queryable, addressHash: Buffer): Promise<{ all: number; address: number }> {
  const text = `SELECT count(*)::integer AS all, (count(*) FILTER (WHERE address_hash = $1::bytea))::integer AS address
     FROM trials WHERE created_at >= ${DAY_BEGAN}`
  return queryOne(db, text, [addressHash])
}

export interface NewTrial {
  id: string
  userId: string
  projectId: string
  keyId: string
  renewalSha256: Buffer
  addressHash: Buffer
  extensionVersion: string
  attribution: Record<string, unknown> | undefined
  expiresAt: Date
}

export async function insertTrial(tx: Transaction, trial: NewTrial): Promise<void> {
  await tx.query(
    `INSERT INTO trials (id, user_id, project_id, key_id, key_day, address_hash, extension_version, attribution, expires_at,
       renewal_sha256)
     VALUES ($1::text, $2::text, $3::text, $4::text, ${TODAY}, $5::bytea, $6::text, $7::jsonb, $8::timestamptz, $9::bytea)`,
    [
      trial.id,
      trial.userId,
      trial.projectId,
      trial.keyId,
      trial.addressHash,
      trial.extensionVersion,
      trial.attribution === undefined ? null : JSON.stringify(trial.attribution),
      trial.expiresAt,
      trial.renewalSha256,
    ],
  )
}

/** Those that have a trial already keep it. */
export async function insertIdentities(tx: Transaction, trialId: string, hashes: readonly Buffer[]): Promise<void> {
  await tx.query(
    `INSERT INTO trial_identities (hash, trial_id) SELECT hash, $1::text FROM unnest($2::bytea[]) AS hash
     ON CONFLICT DO NOTHING`,
    [trialId, hashes],
  )
}

export async function setTrialKey(tx: Transaction, trialId: string, keyId: string): Promise<void> {
  await tx.query(
    `UPDATE trials SET key_id = $2::text, key_day = ${TODAY},
       keys_of_day = CASE WHEN key_day = ${TODAY} THEN keys_of_day + 1 ELSE 1 END
     WHERE id = $1::text`,
    [trialId, keyId],
  )
}
