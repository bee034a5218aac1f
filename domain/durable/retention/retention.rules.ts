/** How long the rows of a table are kept. `key` names a row; `expired` is true of those to remove, $1 being `days`. */
interface Expiring {
  days: number
  key: string
  expired: string
}

/**
 * What becomes of the rows of each table: they expire; they go with the rows of another; they are kept, for the reason
 * that is told; or what removes them.
 */
export type Retention = Expiring | { goesWith: string } | { kept: string } | { removedBy: string }

const age = 'now() - $1::integer * interval '

/** After a resource has ended it can be read for so long, and so can its job. */
export const ENDED_DAYS = 90

/** Of every table, in the order in which rows are removed: what refers to others goes first. */
export const RETENTION: Readonly<Record<string, Retention>> = {
  // What comes with every request or event.
  idempotency_keys: {
    days: 7,
    key: 'user_id, project_id, operation, key',
    expired: `created_at < ${age}'1 day'`,
  },
  kept_replies: { removedBy: 'sweepKeptReplies: after a day, with their idempotency keys' },
  reply_cache: { removedBy: 'sweepReplies: after an hour' },
  job_commands: { days: 7, key: 'id', expired: `delivered_at < ${age}'1 day'` },
  project_events: { days: 30, key: 'id', expired: `id < uuidv7_floor(${age}'1 day')` },
  event_streams: { kept: 'a row a project: its numbers go on' },
  log_events: { removedBy: 'sweepEvents: after 7 and 30 days' },
  admin_uses: { days: 400, key: 'request_id', expired: `used_at < ${age}'1 day'` },
  daily_requests: { days: 7, key: 'user_id', expired: `day < (${age}'1 day')::date` },
  request_contents: { removedBy: 'deleteExpiredContents, daily: after the time that its project states' },
  request_feedback: { kept: 'with its call' },

  // What has ended.
  responses: { removedBy: 'sweepResponses: after 30 days' },
  batches: { days: ENDED_DAYS, key: 'id', expired: `completed_at < ${age}'1 day'` },
  batch_rows: { goesWith: 'batches' },
  batch_chunks: { goesWith: 'batches' },
  agent_turns: { days: ENDED_DAYS, key: 'id', expired: `ended_at < ${age}'1 day'` },
  event_logs: {
    days: ENDED_DAYS,
    key: 'id',
    expired: `closed_at < ${age}'1 day' AND removed_seq >= last_seq`,
  },
  videos: { days: ENDED_DAYS, key: 'id', expired: `ended_at < ${age}'1 day' AND content IS NULL` },
  jobs: { days: ENDED_DAYS, key: 'resource_id', expired: `state = 'ended' AND ended_at < ${age}'1 day'` },

  // The books.
  accounts: { kept: 'for as long as their users' },
  ledger_entries: { kept: 'the books: balances are their sums' },
  holds: { kept: 'the books: entries name them' },
  inference_requests: { kept: 'the books: charges are for them' },
  usage_hourly: { kept: 'the books: bills are made of them' },

  // What people made, until they remove it.
  users: { kept: 'disabled, never removed: the books name them' },
  projects: { kept: 'the books name them' },
  api_keys: { kept: 'revoked, never removed: calls name them' },
  inference_policies: { kept: 'for as long as their projects' },
  provider_credentials: { kept: 'until they are removed by their owner' },
  files: { removedBy: 'their owner; sweepFiles: uploads and deletions that did not finish' },
  trials: { kept: 'who had one has no other' },
  trial_identities: { kept: 'who had one has no other' },

  // The state of processes.
  api_processes: { removedBy: 'each at its stop; startLostProcesses' },
  account_leases: { removedBy: 'each process at its stop; startLostProcesses' },
  open_calls: { removedBy: 'each call at its end; startLostProcesses' },
  api_key_leases: { kept: 'two rows a key' },
  storage_usage: { removedBy: 'sweepStorageParts' },
  schema_migrations: { kept: 'a row a migration' },
}

export const isExpiring = (retention: Retention | undefined): retention is Expiring =>
  retention !== undefined && 'days' in retention

/** The tables whose rows expire, in their order. */
export const EXPIRING: readonly string[] = Object.keys(RETENTION).filter(table => isExpiring(RETENTION[table]))

/** Partitioned tables whose months go once they are empty, and how many days after their end. */
export const EMPTIED_MONTHS: Readonly<Record<string, number>> = { project_events: 31, log_events: 62 }
