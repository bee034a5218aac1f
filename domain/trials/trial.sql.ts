import { queryFirst, queryOne, type Queryable, type Transaction } from '../../infra/postgres/database.ts'

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

/** The trial of the first of these that has one. */
export async function selectTrialOf(db: Queryable, hashes: readonly Buffer[]): Promise<TrialRow | undefined> {
  return queryFirst<TrialRow>(
    db,
    `SELECT ${COLUMNS} FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (hash, place)
       JOIN trial_identities i ON i.hash = asked.hash JOIN trials t ON t.id = i.trial_id
     ORDER BY asked.place LIMIT 1`,
    [hashes],
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
  addressHash: Buffer
  extensionVersion: string
  attribution: Record<string, unknown> | undefined
  expiresAt: Date
}

export async function insertTrial(tx: Transaction, trial: NewTrial): Promise<void> {
  await tx.query(
    `INSERT INTO trials (id, user_id, project_id, key_id, key_day, address_hash, extension_version, attribution, expires_at)
     VALUES ($1::text, $2::text, $3::text, $4::text, ${TODAY}, $5::bytea, $6::text, $7::jsonb, $8::timestamptz)`,
    [
      trial.id,
      trial.userId,
      trial.projectId,
      trial.keyId,
      trial.addressHash,
      trial.extensionVersion,
      trial.attribution === undefined ? null : JSON.stringify(trial.attribution),
      trial.expiresAt,
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
