import type { JobKind } from '../../durable/jobs/jobs.rules.ts'
import { badRequest } from '../../core/errors.ts'
import type { JobDetails } from '../../durable/jobs/details.rules.ts'
import type { BatchEndpoint, BatchStatus } from './batch.schema.ts'

export const BATCH_JOBS: JobKind = {
  kind: 'batch',
  idPrefix: 'batch',
  workflow: 'batch',
  queue: 'control',
  isBackground: true,
  // A batch runs four chunks at once.
  slots: { open: 1_000, running: 4 },
}

/** The job's input: ids and times, never content. */
export interface BatchInput {
  batchId: string
  /** ISO 8601. */
  deadlineAt: string
}

export const MOST_ROWS = 50_000
export const MOST_INPUT_BYTES = 200 * 1024 * 1024
/** A chunk is one activity: large enough that Temporal's cost a task does not count, small enough to hand over. */
export const ROWS_PER_CHUNK = 250

const LONGEST_WINDOW_SECONDS = 7 * 24 * 3600
const SECONDS_OF_UNIT: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 }

/** Seconds of `24h`, `30m`, `600s`, `7d`. Errors: 400. */
export function parseCompletionWindow(text = '24h'): number {
  const match = /^(\d{1,7})([smhd])$/.exec(text)
  const seconds = match === null ? 0 : Number(match[1]) * (SECONDS_OF_UNIT[match[2] ?? ''] ?? 0)
  if (seconds >= 1 && seconds <= LONGEST_WINDOW_SECONDS) return seconds
  throw badRequest('`completion_window` must be a time such as 24h, 30m or 600s, at most 7 days.', 'completion_window')
}

export const endpointOf = (spelling = 'chat_completions'): BatchEndpoint =>
  spelling.endsWith('embeddings') ? 'embeddings' : 'chat_completions'

/** The paths under which a row may name its endpoint. */
export const ENDPOINT_URLS: Record<BatchEndpoint, readonly string[]> = {
  chat_completions: ['/v1/chat/completions', '/chat/completions'],
  embeddings: ['/v1/embeddings', '/embeddings'],
}

/** How a batch's work came to its end, and the status that follows. */
export type BatchEnding = 'completed' | 'cancelled' | 'expired' | 'failed'

const TERMINAL: ReadonlySet<BatchStatus> = new Set<BatchEnding>(['completed', 'failed', 'expired', 'cancelled'])
export const isTerminal = (status: BatchStatus): status is BatchEnding => TERMINAL.has(status)

/** A cancel that the work did not see in time is still a cancel where it left rows undone. */
export const endingOf = (status: BatchStatus, workEnded: BatchEnding, hasUnfinishedRows: boolean): BatchEnding =>
  status === 'cancelling' && workEnded === 'completed' && hasUnfinishedRows ? 'cancelled' : workEnded

export interface RowError {
  code: string
  message: string
  /** The field at fault. */
  param?: string
  /** Line of the input file, from 1. */
  line?: number
}

/** The error of rows that were not run when the batch came to this end. */
export const UNRUN_ERROR: Record<Exclude<BatchEnding, 'completed'>, RowError> = {
  cancelled: { code: 'batch_cancelled', message: 'The batch was cancelled before this request was run.' },
  expired: { code: 'batch_expired', message: 'The batch reached its completion window before this request was run.' },
  failed: { code: 'batch_failed', message: 'The batch failed before this request was run.' },
}

/** What a line of the output file says: OpenAI's shape. */
export const outputLine = (requestId: string, customId: string | null, body: object): object => ({
  id: `batch_req_${requestId}`,
  custom_id: customId,
  response: { status_code: 200, request_id: requestId, body },
  error: null,
})

/** A line of the error file. */
export const errorLine = (requestId: string | null, customId: string | null, error: RowError): string =>
  JSON.stringify({
    id: requestId === null ? null : `batch_req_${requestId}`,
    custom_id: customId,
    response: null,
    error,
  })

export const chunkCountOf = (rowCount: number): number => Math.ceil(rowCount / ROWS_PER_CHUNK)

export interface Progress {
  total: number
  completed: number
  failed: number
}

/** How far a batch's workflow is. */
export interface BatchState extends Progress {
  /** Undefined until the rows are read. */
  model?: string
}

/** What became of a batch. */
export interface BatchEnded extends Progress {
  ending: BatchEnding
}

const BAR_CELLS = 10

/** What operators read of a batch. */
export function batchDetails(batchId: string, phase: string, state: BatchState): JobDetails {
  const { model, total, completed, failed } = state
  const done = completed + failed
  const share = total === 0 ? 0 : done / total
  const cells = Math.floor(share * BAR_CELLS)
  const bar = '█'.repeat(cells) + '░'.repeat(BAR_CELLS - cells)
  return {
    id: batchId,
    phase,
    model,
    figures: { rows: total, completed, failed, left: total - done, done: `\`${bar}\` ${Math.floor(share * 100)} %` },
  }
}
