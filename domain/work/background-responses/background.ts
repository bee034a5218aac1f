import { linkedAbort } from '../../../infra/abort.ts'
import { inTransaction, type Database, type Transaction } from '../../../infra/postgres/database.ts'
import type { AgentTurnCreateRequest } from '../turns/turn.schema.ts'
import { usageView } from '../../inference/tokens/usage.rules.ts'
import { badRequest } from '../../core/errors.ts'
import { appendEvent } from '../../durable/outbox/events.service.ts'
import type { LogReaders } from '../../durable/event-log/event-log.reader.ts'
import { findLog, readLog } from '../../durable/event-log/event-log.service.ts'
import { createOnce, type Repeatable } from '../../tenancy/idempotency/create-once.ts'
import { uuidOf } from '../../core/ids.ts'
import type { Caller, Owner } from '../../core/caller.rules.ts'
import type { TurnEnd } from '../turns/turn-end.ts'
import { isTerminal } from '../turns/turn.rules.ts'
import { admitTurn, findTurn, startAdmitted, startTurn, stopTurn, type AdmittedTurn } from '../turns/turn.service.ts'
import type { TurnView } from '../turns/turn.sql.ts'
import { createBackgroundStream, settledState } from './background.rules.ts'
import {
  eventsOfState,
  responseView,
  stateEvent,
  wireEvent,
  type ResponseState,
} from '../../inference/responses/response.rules.ts'
import type { ResponseObject } from '../../inference/responses/response.schema.ts'
import {
  itemIds,
  prepareResponse,
  renamed,
  turnIdOf,
  type ResponseCall,
  type ResponseDeps,
} from '../../inference/responses/response.service.ts'
import type { ResponseEvent } from '../../inference/responses/response-stream.ts'
import { selectResponse, setResponseEnded, type ResponseRow } from '../../inference/responses/response.service.ts'
import {
  loadedState,
  requireResponse,
  stateOf,
  storeResponse,
  type Hold,
} from '../../inference/responses/stored-response.ts'
import type { ThreadDeps } from '../../inference/threads/thread-work.ts'

interface ReadDeps extends ThreadDeps {
  db: Database
}

interface Deps extends ReadDeps {
  logReaders: LogReaders
}

const responseIdOf = (turnId: string): string => turnId.replace(/^turn_/, 'resp_')

/**
 * Starts a response that is made without its client, and answers at once. With an idempotency key that was used
 * before, the same response again. Errors: as of a response, and 402 without the credit for its worst case.
 */
export async function createBackgroundResponse(
  deps: ResponseDeps,
  call: ResponseCall,
  repeatable: Repeatable,
): Promise<ResponseObject> {
  const { caller } = call
  const { state, input, chat } = await prepareResponse(deps, call)
  const asked = await admitTurn(deps, caller, chat.request as AgentTurnCreateRequest).catch(renamed)
  const queued: ResponseState = { ...state, status: 'queued', background: true }
  const start = (tx: Transaction, admitted: AdmittedTurn) =>
    createOnce(tx, caller.owner, repeatable, {
      id: queued.id,
      make: async () => {
        await startTurn(tx, caller, turnIdOf(queued.id), admitted, 'responses')
        await storeResponse(deps, tx, caller, queued, input)
        return responseView(queued)
      },
      again: async earlier => responseView(await stateOfEarlier({ ...deps, db: tx }, call, earlier)),
    })
  return startAdmitted(deps, caller, asked, admitted =>
    deps.sharedTransaction(caller.owner.userId, tx => start(tx, admitted)),
  )
}

/** Ends the response of a turn with the turn. Nothing where the response was deleted. */
export async function settleResponse(tx: Transaction, turn: TurnView, end: TurnEnd): Promise<void> {
  if (turn.surface !== 'responses') return
  const owner = { userId: turn.user_id, projectId: turn.project_id }
  const row = await selectResponse(tx, owner, responseIdOf(turn.id))
  if (row === undefined) return
  const usage = end.call === undefined ? undefined : usageView(end.call.usage)
  const log = await readLog(tx, uuidOf(turn.id))
  const settled = settledState(stateOf(row, []), itemIds(row.id), log, { ...end, usage })
  await setResponseEnded(tx, owner, settled, JSON.stringify(settled.output))
  const { status } = settled
  appendEvent(tx, { owner, type: `response.${status}`, subject: row.id, payload: { status, model: row.model } })
}

/** Errors: 404. */
export async function getResponse(
  deps: ReadDeps,
  caller: Caller,
  responseId: string,
  hold: Hold,
): Promise<ResponseObject> {
  const row = await requireResponse(deps, caller, responseId)
  return responseView(await currentState(deps, caller.owner, row, hold))
}

const stateOfEarlier = async (
  deps: ThreadDeps & { db: Transaction },
  { caller, hold }: ResponseCall,
  responseId: string,
): Promise<ResponseState> => loadedState(deps, caller.owner, await requireResponse(deps, caller, responseId), hold)

/** A background response as it is now: while it is open, its turn knows how far it is. */
async function currentState(deps: ReadDeps, owner: Owner, row: ResponseRow, hold: Hold): Promise<ResponseState> {
  const state = await loadedState(deps, owner, row, hold)
  if (!row.background || row.status !== 'queued') return state
  const turn = await findTurn(deps, owner, turnIdOf(row.id), 'responses')
  return turn === undefined || turn.lifecycle === 'queued' ? state : { ...state, status: 'in_progress' }
}

/** How long a cancel waits for the response's end, so that its reply can show it. */
const CANCEL_SHOWS_WITHIN_MS = 5_000

/** Stops a background response; harmless where it has ended. Errors: 400 for one that is none, 404. */
export async function cancelResponse(
  deps: Deps,
  caller: Caller,
  responseId: string,
  { signal, hold }: { signal: AbortSignal; hold: Hold },
): Promise<ResponseObject> {
  const { owner } = caller
  const row = await requireResponse(deps, caller, responseId)
  if (!row.background) {
    throw badRequest('Only a background response can be canceled: close the connection of this one.', 'response_id')
  }
  await inTransaction(deps.db, tx => stopTurn(tx, owner, turnIdOf(row.id)))
  if (row.status === 'queued') await untilEnded(deps, uuidOf(row.id), signal)
  return responseView(await currentState(deps, owner, await requireResponse(deps, caller, responseId), hold))
}

/** Or until the client goes, or the time is over. */
async function untilEnded(deps: Deps, logId: string, signal: AbortSignal): Promise<void> {
  const waiting = linkedAbort(signal, CANCEL_SHOWS_WITHIN_MS)
  try {
    for await (const event of deps.logReaders.follow(logId, 0, waiting.signal)) if (isTerminal(event.type)) return
  } finally {
    waiting.release()
  }
}

/**
 * The events of a background response after a sequence number, and those that are still to come. Once the turn's
 * events are past their retention, those that its end would have been streamed by.
 */
export async function backgroundEvents(
  deps: Deps,
  caller: Caller,
  row: ResponseRow,
  startingAfter: number,
  { signal, hold }: { signal: AbortSignal; hold: Hold },
): Promise<AsyncIterable<ResponseEvent>> {
  const log = await findLog(deps.db, uuidOf(row.id))
  const events =
    log === undefined || log.removed_seq > 0n
      ? eventsOfState(await loadedState(deps, caller.owner, row, hold))
      : followed(deps, caller, row, { signal, hold })
  return numbered(events, startingAfter)
}

async function* numbered(
  events: AsyncIterable<Parameters<typeof wireEvent>[0]> | Iterable<Parameters<typeof wireEvent>[0]>,
  startingAfter: number,
): AsyncGenerator<ResponseEvent, void> {
  let sequence = 0
  for await (const event of events) {
    if (sequence > startingAfter) yield wireEvent(event, sequence)
    sequence += 1
  }
}

async function* followed(
  deps: Deps,
  caller: Caller,
  row: ResponseRow,
  { signal, hold }: { signal: AbortSignal; hold: Hold },
) {
  const begun: ResponseState = { ...stateOf(row, []), status: 'queued', usage: null, error: null }
  const stream = createBackgroundStream({ ...begun, incompleteReason: null }, itemIds(row.id))
  for await (const event of deps.logReaders.follow(uuidOf(row.id), 0, signal)) {
    yield* stream.add(event)
    if (!isTerminal(event.type)) continue
    const ended = await loadedState(deps, caller.owner, await requireResponse(deps, caller, row.id), hold)
    yield stateEvent(`response.${ended.status}`, ended)
    return
  }
}
