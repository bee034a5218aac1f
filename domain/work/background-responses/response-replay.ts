import type { Database } from '../../../infra/postgres/database.ts'
import type { LogReaders } from '../../durable/event-log/event-log.reader.ts'
import { findLog } from '../../durable/event-log/event-log.service.ts'
import { uuidOf } from '../../core/ids.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { backgroundEvents } from './background.ts'
import { eventsOfState, isLastEvent, wireEvent } from '../../inference/responses/response.rules.ts'
import { loadedState, requireResponse, type Hold } from '../../inference/responses/stored-response.ts'
import type { ThreadDeps } from '../../inference/threads/thread-work.ts'
import type { ResponseEvent } from '../../inference/responses/response-stream.ts'

interface Deps extends ThreadDeps {
  db: Database
  logReaders: LogReaders
}

/**
 * The events of a stored response after a sequence number: as they were sent, and those that are still to come. Of a
 * response that was not streamed, or whose events are past their retention, those it would have been streamed by.
 * Errors: 404.
 */
export async function replayResponse(
  deps: Deps,
  caller: Caller,
  responseId: string,
  startingAfter: number,
  { signal, hold }: { signal: AbortSignal; hold: Hold },
): Promise<AsyncIterable<ResponseEvent>> {
  const row = await requireResponse(deps, caller, responseId)
  if (row.background) return backgroundEvents(deps, caller, row, startingAfter, { signal, hold })
  const logId = uuidOf(row.id)
  const log = await findLog(deps.db, logId)
  if (log === undefined || log.removed_seq > 0n) {
    return madeEvents(eventsOfState(await loadedState(deps, caller.owner, row, hold)), startingAfter)
  }
  // A log counts from 1, a response's events from 0.
  const afterSeq = startingAfter + 1
  const lastSeq = Number(log.last_seq)
  if (log.closed_at !== null && afterSeq >= lastSeq) return madeEvents([], startingAfter)
  return storedEvents(deps, logId, { afterSeq, lastSeq }, signal)
}

async function* madeEvents(
  events: ReturnType<typeof eventsOfState>,
  startingAfter: number,
): AsyncGenerator<ResponseEvent, void> {
  for (const [index, event] of events.entries()) if (index > startingAfter) yield wireEvent(event, index)
}

/** Whoever asks beyond the end is not sent the last event, but must see it: it ends the stream. */
async function* storedEvents(
  deps: Deps,
  logId: string,
  { afterSeq, lastSeq }: { afterSeq: number; lastSeq: number },
  signal: AbortSignal,
): AsyncGenerator<ResponseEvent, void> {
  for await (const event of deps.logReaders.follow(logId, Math.min(afterSeq, lastSeq), signal)) {
    if (event.seq > afterSeq) yield wireEvent(event, event.seq - 1)
    if (isLastEvent(event.type)) return
  }
}
