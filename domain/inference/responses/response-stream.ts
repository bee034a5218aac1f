import { inTransaction } from '../../../infra/postgres/database.ts'
import { isAborted } from '../../../infra/upstreams/upstream.ts'
import { streamChat } from '../chat/chat.service.ts'
import type { ChatPart } from '../chat/chat-stream.ts'
import { toTheEnd } from '../chat/delivery.ts'
import { DomainError } from '../../core/errors.ts'
import type { NewEvent } from '../../durable/event-log/event-log.rules.ts'
import { appendIn, openLog } from '../../durable/event-log/event-log.service.ts'
import { createEventWriter, type EventWriter } from '../../durable/event-log/event-log.writer.ts'
import { uuidOf } from '../../core/ids.ts'
import { JobSuperseded } from '../../durable/jobs/superseded.ts'
import type { Owner } from '../../core/caller.rules.ts'
import {
  itemIds,
  notStored,
  prepareResponse,
  renamed,
  type PreparedResponse,
  type ResponseCall,
  type ResponseDeps,
} from './response.service.ts'
import { endingOf, openingEvents, responseUsage, stateEvent, wireEvent, type ResponseState } from './response.rules.ts'
import { setResponseEnded, touchResponse } from './response.sql.ts'
import { askerOf, storeResponse } from './stored-response.ts'
import { writtenJson } from '../threads/stored-json.ts'
import { createOutputStream } from './stream.rules.ts'

/** How often a response that runs says so: see abandoned.ts. */
const TOUCH_EVERY_MS = 20_000

/** A typed event as it is sent. */
export interface ResponseEvent {
  event: string
  data: string
}

/**
 * A response as typed events, those together that arrive together. It is stored from its start, and each of its events; the last one leaves when the whole
 * is durable. Resolves at the upstream's first event: until then every error is a plain reply, and nothing is stored.
 */
export async function streamResponse(
  deps: ResponseDeps,
  call: ResponseCall,
): Promise<{ events: AsyncIterable<ResponseEvent[]>; sandbox: boolean }> {
  const prepared = await prepareResponse(deps, call)
  const { parts, sandbox } = await streamChat(deps, prepared.chat).catch(renamed)
  const events = responseEvents(deps, call, prepared, parts)
  const outlives = prepared.chat.request.metadata?.client_disconnect_cancel === false
  return { events: outlives ? toTheEnd(events) : events, sandbox }
}

async function* responseEvents(
  deps: ResponseDeps,
  { caller }: ResponseCall,
  { state, input }: PreparedResponse,
  parts: AsyncIterable<ChatPart[]>,
): AsyncGenerator<ResponseEvent[], void> {
  const opening = openingEvents(state)
  const store = await openStore(deps, caller, state, input, opening)
  const stream = createOutputStream(itemIds(state.id))
  let sequence = 0
  const number = (event: NewEvent) => wireEvent(event, sequence++)
  let ended: ResponseState | undefined
  try {
    yield opening.map(number)
    for await (const together of parts) {
      const events = together.flatMap(part => (part.kind === 'chunk' ? stream.add(part.chunk) : stream.end()))
      store.add(events)
      yield events.map(number)
      const end = together.find(part => part.kind === 'end')
      if (end !== undefined) ended = endedState(state, stream.assembled(), end)
    }
    if (ended === undefined) throw new Error('a stream of parts had no end')
    yield [number(await store.end(ended))]
  } catch (error) {
    if (ended !== undefined || isAborted(error)) throw error
    deps.log.error({ responseId: state.id, err: error }, 'the stream of a response failed')
    const rest = stream.end()
    store.add(rest)
    yield rest.map(number)
    ended = failedState(state, stream.assembled().output, error)
    yield [number(await store.end(ended))]
  } finally {
    // The reader left.
    if (ended === undefined) {
      store.add(stream.end())
      await store.end(leftState(state, stream.assembled().output))
    }
  }
}

const endedState = (
  state: ResponseState,
  { output, finishReason }: { output: ResponseState['output']; finishReason: string | undefined },
  end: Extract<ChatPart, { kind: 'end' }>,
): ResponseState => ({ ...state, ...endingOf(finishReason), output, usage: responseUsage(end.usage) })

const failedState = (state: ResponseState, output: ResponseState['output'], error: unknown): ResponseState => {
  const isKnown = error instanceof DomainError
  const message = isKnown ? error.message : 'The reply broke off: what came so far is not complete. Try again.'
  return { ...state, status: 'failed', output, error: { code: isKnown ? error.code : 'service_unavailable', message } }
}

const leftState = (state: ResponseState, output: ResponseState['output']): ResponseState => ({
  ...state,
  status: 'incomplete',
  output,
  incompleteReason: 'client_closed',
})

/** Where a response's events and its end go; one that is not stored goes nowhere. */
interface Store {
  add(events: NewEvent[]): void
  /** Gives the last event, once the response has ended durably. */
  end(state: ResponseState): Promise<NewEvent>
}

const lastEvent = (state: ResponseState): NewEvent => stateEvent(`response.${state.status}`, state)
const NOWHERE: Store = { add: () => undefined, end: ended => Promise.resolve(lastEvent(ended)) }

/** The model is at work already: where the response cannot be stored, its reader still gets it, and is told that. */
async function openStore(
  deps: ResponseDeps,
  caller: ResponseCall['caller'],
  state: ResponseState,
  input: PreparedResponse['input'],
  [first, ...others]: NewEvent[],
): Promise<Store> {
  if (!state.settings.store || first === undefined) return NOWHERE
  const logId = uuidOf(state.id)
  try {
    await inTransaction(deps.db, async tx => {
      await storeResponse(deps, tx, caller, state, input)
      await openLog(tx, logId, caller.owner.userId, first)
    })
  } catch (error) {
    deps.log.error({ responseId: state.id, err: error }, 'a response could not be stored')
    return { ...NOWHERE, end: ended => NOWHERE.end(notStored(ended)) }
  }
  const { owner } = caller
  const writer = createEventWriter({
    append: deps.appendEvents,
    writer: { logId, run: 0, attempt: 0 },
    merge: () => undefined,
    failed: error => deps.log.warn({ responseId: state.id, err: error }, 'events of a response could not be stored'),
  })
  others.forEach(event => writer.add(event))
  const touching = setInterval(
    () => void touchResponse(deps.db, owner, state.id).catch(() => undefined),
    TOUCH_EVERY_MS,
  )
  return {
    add: events => events.forEach(event => writer.add(event)),
    end: async ended => {
      clearInterval(touching)
      const last = lastEvent(ended)
      return (await endStored(deps, owner, ended, writer, last)) ? last : lastEvent(notStored(ended))
    },
  }
}

/**
 * The events that are left, the last one, and the response's end: together. Nothing where it was deleted meanwhile.
 * False where it cannot be stored: its reader gets the end all the same, since the call was recorded, and is paid.
 */
async function endStored(
  deps: ResponseDeps,
  owner: Owner,
  state: ResponseState,
  writer: EventWriter,
  last: NewEvent,
): Promise<boolean> {
  try {
    const append = await writer.lastAppend([last])
    const output = await writtenJson(deps, askerOf(owner), state.output)
    await inTransaction(deps.db, async tx => {
      if (await setResponseEnded(tx, owner, state, output)) await appendIn(tx, append)
    })
    return true
  } catch (error) {
    if (error instanceof JobSuperseded) return true
    deps.log.error({ responseId: state.id, err: error }, 'the end of a response could not be stored')
    return false
  }
}
