import { queryFirst, type Queryable, type Transaction } from '../../../infra/postgres/database.ts'

export interface StoredRow {
  used_bytes: bigint
  /** null: the deployment's. */
  quota_bytes: bigint | null
  has_credit: boolean
}

/** What the account keeps, and what says how much it may; undefined where there is no such user. */
export const selectStored = (db: Queryable, userId: string): Promise<StoredRow | undefined> =>
  queryFirst<StoredRow>(
    db,
    `SELECT (SELECT coalesce(sum(bytes), 0)::bigint FROM storage_usage s WHERE s.user_id = u.id) AS used_bytes,
       u.storage_quota_bytes AS quota_bytes, coalesce(a.balance_nanos > 0, false) AS has_credit
     FROM users u LEFT JOIN accounts a ON a.user_id = u.id WHERE u.id = $1::text`,
    [userId],
  )

/** False where there is no such user. */
export async function setQuota(db: Queryable, userId: string, bytes: bigint | null): Promise<boolean> {
  const text = 'UPDATE users SET storage_quota_bytes = $2::bigint WHERE id = $1::text'
  return (await db.query(text, [userId, bytes])).rowCount === 1
}

/** Folds the parts of server processes that are gone into part 0. Gives how many there were. */
export async function foldParts(db: Queryable, limit: number): Promise<number> {
  const { rowCount } = await db.query(
    `WITH gone AS (
       DELETE FROM storage_usage WHERE (user_id, kind, part) IN (
         SELECT user_id, kind, part FROM storage_usage
         WHERE part <> 0 AND part NOT IN (SELECT pid FROM pg_stat_activity) LIMIT $1::integer FOR UPDATE SKIP LOCKED)
       RETURNING user_id, kind, bytes
     ), folded AS (
       INSERT INTO storage_usage AS u (user_id, kind, part, bytes)
       SELECT user_id, kind, 0, sum(bytes) FROM gone GROUP BY user_id, kind
       ON CONFLICT (user_id, kind, part) DO UPDATE SET bytes = u.bytes + excluded.bytes
     )
     SELECT 1 FROM gone`,
    [limit],
  )
  return rowCount
}

export interface StorageDifference {
  user_id: string
  kind: string
  /** By the rows that it stands for. */
  expected: bigint
  /** As counted. */
  found: bigint
}

/** Every kind, with the table whose rows say what they keep. */
const KINDS: Record<string, string> = {
  files: 'files',
  responses: 'responses',
  turns: 'agent_turns',
  videos: 'videos',
  contents: 'request_contents',
  kept_replies: 'kept_replies',
  batch_rows: 'batches',
  events: 'event_logs',
}

/** Compares what was counted with all rows, in one snapshot. Reads whole tables. */
export async function selectStorageDifferences(db: Queryable): Promise<StorageDifference[]> {
  const sums = Object.entries(KINDS).map(
    ([kind, table]) =>
      `SELECT user_id, '${kind}' AS kind, sum(stored_bytes)::bigint AS bytes FROM ${table}
       WHERE user_id IS NOT NULL GROUP BY user_id`,
  )
  const { rows } = await db.query<StorageDifference>(
    `SELECT user_id, kind, coalesce(e.bytes, 0) AS expected, coalesce(f.bytes, 0) AS found
     FROM (${sums.join(' UNION ALL ')}) e
     FULL JOIN (SELECT user_id, kind, sum(bytes)::bigint AS bytes FROM storage_usage GROUP BY user_id, kind) f
       USING (user_id, kind)
     WHERE coalesce(e.bytes, 0) <> coalesce(f.bytes, 0) ORDER BY user_id, kind`,
  )
  return rows
}

/** Adds what was missed: right at any time, since writes meanwhile count themselves. */
export async function addCorrections(tx: Transaction, differences: readonly StorageDifference[]): Promise<void> {
  await tx.query(
    `INSERT INTO storage_usage AS u (user_id, kind, part, bytes)
     SELECT user_id, kind, 0, bytes FROM unnest($1::text[], $2::text[], $3::bigint[]) AS c(user_id, kind, bytes)
     ON CONFLICT (user_id, kind, part) DO UPDATE SET bytes = u.bytes + excluded.bytes`,
    [
      differences.map(difference => difference.user_id),
      differences.map(difference => difference.kind),
      differences.map(difference => difference.expected - difference.found),
    ],
  )
}
