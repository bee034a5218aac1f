import type { Metrics } from '../../../infra/metrics.ts'
import type { Database } from '../../../infra/postgres/database.ts'
import type { CatalogEntry } from '../../inference/catalog/catalog.schema.ts'
import type { Rates } from '../../inference/catalog/pricing.rules.ts'
import type { ChatMeter } from '../../inference/chat/chat-call.ts'
import type { ChatCompletionRequest } from '../../inference/chat-request/chat.schema.ts'
import type { DomainError } from '../../core/errors.ts'
import type { AppendEvents, EventWriter } from '../../durable/event-log/event-log.writer.ts'
import type { JobContext } from '../../durable/jobs/job-context.ts'
import type { Routed, RoutingDeps } from '../../inference/provider-routes/routing.service.ts'
import type { ThreadDeps } from '../../inference/threads/thread-work.ts'
import type { TurnSettled } from './turn-end.ts'
import type { TurnRow } from './turn.sql.ts'

export interface TurnRunDeps extends RoutingDeps, ThreadDeps {
  db: Database
  metrics: Metrics
  appendEvents: AppendEvents
  turnSettled: TurnSettled
}

/** What an attempt works with. */
export interface Attempt {
  turn: TurnRow
  model: CatalogEntry
  job: JobContext
  writer: EventWriter
  meter: ChatMeter
  startedAt: Date
  /** Aborts with the job's signal, or where the log was taken over. */
  signal: AbortSignal
  answer: Answer | undefined
  toolsCalled: boolean
  firstTokenMs: number | null
}

interface Answer extends Pick<Routed<object>, 'route' | 'fallbackCount'> {
  /** What its tokens cost. */
  rates: Rates
}

/** How an attempt ended that no other one follows. */
export type Outcome = { ending: 'completed' } | { ending: 'canceled' } | { ending: 'failed'; error: DomainError }

/** What the model is asked. */
export const requestOf = (turn: TurnRow): ChatCompletionRequest => {
  if (turn.request === null) throw new Error('an open turn has no request')
  return { ...turn.request, stream: true }
}
