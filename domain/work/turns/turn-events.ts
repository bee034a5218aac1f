import type { Database } from '../../../infra/postgres/database.ts'
import { badRequest, conflict } from '../../core/errors.ts'
import type { LogReaders } from '../../durable/event-log/event-log.reader.ts'
import type { LogEvent } from '../../durable/event-log/event-log.rules.ts'
import { uuidOf } from '../../core/ids.ts'
import type { Caller } from '../../core/caller.rules.ts'
import { isTerminal } from './turn.rules.ts'
import { requireTurn } from './turn.service.ts'

interface Deps {
  db: Database
  logReaders: LogReaders
}

/** An event as its reader gets it; one without an id is not part of the log. */
export interface TurnEvent {
  id?: string
  event: string
  data: string
}

/**
 * The events of a turn after `afterSeq`, then live ones, to its last. Events that were removed are told of by a gap.
 * Errors: 400 beyond the last event, 404, 409 where all of them were removed.
 */
export async function readTurnEvents(
  deps: Deps,
  caller: Caller,
  requestId: string,
  afterSeq: number,
  signal: AbortSignal,
): Promise<AsyncGenerator<TurnEvent, void>> {
  const [turn, log] = await requireTurn(deps, caller, requestId)
  const [lastSeq, removedSeq] = [Number(log.last_seq), Number(log.removed_seq)]
  if (removedSeq === lastSeq) throw conflict('The events of this turn are past their retention.', 'request_id')
  if (afterSeq > lastSeq) throw badRequest(`The last event so far is ${lastSeq}.`, 'after_event_seq')
  const isOver = log.closed_at !== null && afterSeq === lastSeq
  return eventsOf(deps, uuidOf(turn.id), { afterSeq, removedSeq, isOver }, signal)
}

async function* eventsOf(
  deps: Deps,
  logId: string,
  from: { afterSeq: number; removedSeq: number; isOver: boolean },
  signal: AbortSignal,
): AsyncGenerator<TurnEvent, void> {
  if (from.isOver) return
  if (from.afterSeq < from.removedSeq) {
    const gap = { missing_from_seq: from.afterSeq + 1, missing_to_seq: from.removedSeq }
    yield { event: 'turn.gap', data: JSON.stringify(gap) }
  }
  for await (const event of deps.logReaders.follow(logId, Math.max(from.afterSeq, from.removedSeq), signal)) {
    yield wireEvent(event)
    if (isTerminal(event.type)) return
  }
}

/** Written once for all who read the turn in this process: they are given the same event. */
const written = new WeakMap<LogEvent, TurnEvent>()

function wireEvent(event: LogEvent): TurnEvent {
  const known = written.get(event)
  if (known !== undefined) return known
  const { seq, type, data, created_at } = event
  const text = JSON.stringify({ seq, type, created_at: created_at.toISOString(), ...data })
  const wire = { id: String(seq), event: type, data: text }
  written.set(event, wire)
  return wire
}
