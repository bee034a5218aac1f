import { queryFirst, type Queryable } from '../../../infra/postgres/database.ts'
import { startOfPage, type KeysetPage } from '../../core/export.ts'
import type { Owner } from '../../core/caller.rules.ts'
import { ownerValues, VISIBLE_TO_OWNER } from '../../core/visibility.ts'

export interface HistoryFilter {
  owner: Owner
  from: Date | null
  to: Date | null
  model: string | undefined
  surface: string | undefined
  status: string | undefined
  keyId: string | undefined
  sessionId: string | undefined
  replayOf: string | undefined
}

export interface HistoryRow {
  id: string
  model: string
  requested_model: string | null
  surface: string
  status: string
  error_code: string | null
  tokens_in: number
  tokens_out: number
  cached_tokens: number | null
  reasoning_tokens: number | null
  cost_nanos: bigint
  metadata: object | null
  replay_of: string | null
  duration_ms: number
  created_at: Date
  /** The beginning of the reply, where the content policy kept it. */
  preview: string | null
}

const PREVIEW_CHARACTERS = 200

const SELECT = `SELECT r.id, model, requested_model, surface, status, error_code, tokens_in, tokens_out, cached_tokens,
    reasoning_tokens, cost_nanos, metadata, replay_of, duration_ms, r.created_at,
    (SELECT left(c.reply, ${PREVIEW_CHARACTERS}) FROM request_contents c
     WHERE c.request_id = r.id AND c.expires_at > now()) AS preview
  FROM inference_requests r WHERE ${VISIBLE_TO_OWNER}`

/** The newest first, before the cursor. */
export async function selectHistory(db: Queryable, filter: HistoryFilter, page: KeysetPage): Promise<HistoryRow[]> {
  const { rows } = await db.query<HistoryRow>(
    `${SELECT}
       AND ($3::text IS NULL OR model = $3::text) AND ($4::text IS NULL OR surface = $4::text)
       AND ($5::text IS NULL OR status = $5::text) AND ($6::text IS NULL OR api_key_id = $6::text)
       AND ($7::text IS NULL OR metadata->>'session_id' = $7::text) AND ($8::uuid IS NULL OR replay_of = $8::uuid)
       AND ($9::timestamptz IS NULL OR created_at >= $9::timestamptz)
       AND ($10::timestamptz IS NULL OR created_at < $10::timestamptz)
       AND r.id < $11::uuid
     ORDER BY r.id DESC LIMIT $12::integer`,
    [
      ...ownerValues(filter.owner),
      filter.model ?? null,
      filter.surface ?? null,
      filter.status ?? null,
      filter.keyId ?? null,
      filter.sessionId ?? null,
      filter.replayOf ?? null,
      filter.from,
      filter.to,
      startOfPage(page, filter.to),
      page.limit,
    ],
  )
  return rows
}

export const selectRequest = (db: Queryable, owner: Owner, requestId: string): Promise<HistoryRow | undefined> =>
  queryFirst<HistoryRow>(db, `${SELECT} AND r.id = $3::uuid`, [...ownerValues(owner), requestId])
