import { queryFirst, queryOne, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'
import type { RunTransaction } from '../../durable/jobs/run-transaction.ts'
import type { PublicRequestMetadata } from '../../inference/metadata/metadata.schema.ts'
import type { Nanos } from '../../money/ledger/money.rules.ts'
import type { Caller, KeyRules, Owner } from '../../core/caller.rules.ts'
import { ownerValues, VISIBLE_TO_OWNER } from '../../core/visibility.ts'
import type { VideoEnding } from './video.rules.ts'
import type { VideoStatus } from './video.schema.ts'

export interface ProviderJob {
  upstream: string
  /** The model's id there. */
  model: string
  job_id: string
  generation_id: string | null
}

export interface StoredContent {
  key: string
  size_bytes: number
  etag: string
  content_type: string
}

/** A video but for what was asked, which may be 64 MB. */
export interface VideoRow {
  id: string
  user_id: string
  project_id: string | null
  api_key_id: string
  key_rules: KeyRules
  model: string
  asked_model: string
  metadata: PublicRequestMetadata | null
  held_nanos: Nanos
  status: VideoStatus
  provider: ProviderJob | null
  submits: number
  polls_missed: number
  error: string | null
  content: StoredContent | null
  cost_nanos: Nanos | null
  created_at: Date
}

const COLUMNS =
  'id, user_id, project_id, api_key_id, key_rules, model, asked_model, metadata, held_nanos, status, provider, submits, ' +
  'polls_missed, error, content, cost_nanos, created_at'

export interface NewVideo {
  id: string
  caller: Caller
  model: string
  askedModel: string
  requestJson: string | Uint8Array
  metadata: object | null
  heldNanos: Nanos
}

export const insertVideo = (tx: Transaction, video: NewVideo): Promise<VideoRow> =>
  queryOne<VideoRow>(
    tx,
    `INSERT INTO videos (id, user_id, project_id, api_key_id, key_rules, model, asked_model, request, metadata, held_nanos, status)
     VALUES ($1::text, $2::text, $3::text, $4::text, $5::jsonb, $6::text, $7::text, $8::text::jsonb, $9::jsonb, $10::bigint, 'pending')
     RETURNING ${COLUMNS}`,
    [
      video.id,
      ...ownerValues(video.caller.owner),
      video.caller.keyId,
      JSON.stringify(video.caller.rules),
      video.model,
      video.askedModel,
      video.requestJson,
      video.metadata === null ? null : JSON.stringify(video.metadata),
      video.heldNanos,
    ],
  )

/** The video as its owner may see it. */
export const selectVideo = (db: Queryable, owner: Owner, videoId: string): Promise<VideoRow | undefined> =>
  queryFirst<VideoRow>(db, `SELECT ${COLUMNS} FROM videos WHERE ${VISIBLE_TO_OWNER} AND id = $3::text`, [
    ...ownerValues(owner),
    videoId,
  ])

/** The video of a job, or of a signed link: of whatever owner. */
export const selectVideoById = (db: Queryable, videoId: string): Promise<VideoRow | undefined> =>
  queryFirst<VideoRow>(db, `SELECT ${COLUMNS} FROM videos WHERE id = $1::text`, [videoId])

/** What the provider is asked, as JSON; null once the video has ended. */
export const selectRequestJson = async (db: Queryable, videoId: string): Promise<string | null> =>
  (await queryOne<{ request: string | null }>(db, 'SELECT request::text FROM videos WHERE id = $1::text', [videoId]))
    .request

/** The length that was asked for; null once the video has ended. */
export const selectDuration = async (db: Queryable, videoId: string): Promise<unknown> =>
  (
    await queryOne<{ duration: unknown }>(
      db,
      `SELECT request -> 'duration' AS duration FROM videos WHERE id = $1::text`,
      [videoId],
    )
  ).duration

export async function setProvider(tx: RunTransaction, videoId: string, provider: ProviderJob): Promise<void> {
  await tx.query(`UPDATE videos SET provider = $2::jsonb, status = 'in_progress' WHERE id = $1::text`, [
    videoId,
    JSON.stringify(provider),
  ])
}

/** Counts that the provider is asked to make it, before it is; or takes that back, where it refused to. */
export async function countSubmit(tx: RunTransaction, videoId: string, by: 1 | -1): Promise<void> {
  await tx.query('UPDATE videos SET submits = submits + $2::integer WHERE id = $1::text', [videoId, by])
}

/** Counts a poll that found no job, or forgets those before. Gives how many there were in a row. */
export const countMissedPoll = async (tx: RunTransaction, videoId: string, missed: boolean): Promise<number> =>
  (
    await queryOne<{ polls_missed: number }>(
      tx,
      `UPDATE videos SET polls_missed = CASE WHEN $2::boolean THEN polls_missed + 1 ELSE 0 END
       WHERE id = $1::text RETURNING polls_missed`,
      [videoId, missed],
    )
  ).polls_missed

export async function setContent(
  tx: RunTransaction,
  videoId: string,
  content: StoredContent,
  costNanos: Nanos,
): Promise<void> {
  await tx.query('UPDATE videos SET content = $2::jsonb, cost_nanos = $3::bigint WHERE id = $1::text', [
    videoId,
    JSON.stringify(content),
    costNanos,
  ])
}

/** The last state; what was asked is forgotten. */
export async function setVideoEnded(
  tx: RunTransaction,
  videoId: string,
  ending: VideoEnding,
  error: string | null,
): Promise<void> {
  await tx.query(
    `UPDATE videos SET status = $2::text, error = $3::text, request = NULL, ended_at = now(),
       cost_nanos = CASE WHEN $2::text = 'completed' THEN cost_nanos END
     WHERE id = $1::text`,
    [videoId, ending, error],
  )
}

/** Videos that ended so many days ago and whose content is there still, locked. */
export async function selectOldContents(
  tx: Transaction,
  days: number,
  limit: number,
): Promise<{ id: string; content: StoredContent }[]> {
  const { rows } = await tx.query<{ id: string; content: StoredContent }>(
    `SELECT id, content FROM videos WHERE content IS NOT NULL AND ended_at < now() - $1::integer * interval '1 day'
     ORDER BY ended_at LIMIT $2::integer FOR UPDATE SKIP LOCKED`,
    [days, limit],
  )
  return rows
}

export async function forgetContent(tx: Transaction, videoId: string): Promise<void> {
  await tx.query('UPDATE videos SET content = NULL WHERE id = $1::text', [videoId])
}
