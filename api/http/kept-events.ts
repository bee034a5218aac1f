import { DomainError } from '../../domain/core/errors.ts'
import { LONGEST_KEPT, type KeptReply } from '../../domain/tenancy/idempotency/kept-replies.ts'
import { errorReply } from './errors/ipop.ts'
import type { RepeatOutcome } from './repeat-outcome.ts'
import { EventStream, type StreamEvent } from './gives/gives.ts'
import { failureAsData } from './gives/stream-failure.ts'

interface KeptOptions {
  requestId: string
  outcome: RepeatOutcome
  /** The call's: where it has aborted, the stream has not come to its end. */
  signal: AbortSignal
  /** Whether the call goes on when its reader leaves. */
  outlives: boolean
  /** Called when it has ended. */
  release: () => void
}

type EventGroup = StreamEvent | readonly StreamEvent[]
type Source = AsyncIterator<EventGroup, unknown>

/** The stream, which is kept as it was sent when it ends, or as it would have been sent to a reader who left. */
export function keptEvents(stream: EventStream, keptOptions: KeptOptions): EventStream {
  const { headers, resumable, failure } = stream
  return new EventStream(collected(stream, keptOptions), failure, { headers, resumable })
}

async function* collected(stream: EventStream, keptOptions: KeptOptions): AsyncGenerator<EventGroup, void> {
  const { requestId, outcome, signal, outlives, release } = keptOptions
  const source: Source = stream.events[Symbol.asyncIterator]()
  const collection = createCollection(stream.headers)
  let isReading = true
  let failure: unknown
  try {
    for (let next = await source.next(); next.done !== true; next = await source.next()) {
      collection.add(next.value)
      yield next.value
    }
    isReading = false
  } catch (error) {
    isReading = false
    failure = error
    throw error
  } finally {
    if (isReading) failure = outlives ? await readOn(source, collection) : await source.return?.().then(clientLeft)
    if (signal.aborted) failure = signal.reason instanceof DomainError ? signal.reason : clientLeft()
    if (failure !== undefined) collection.add(stream.failure(errorReply(failure, requestId).body, collection.last()))
    release()
    await outcome.keepIfUsed(collection.reply())
  }
}

/** Reads what its reader does not. Gives what went wrong. */
async function readOn(source: Source, collection: Collection): Promise<unknown> {
  try {
    for (let next = await source.next(); next.done !== true; next = await source.next()) collection.add(next.value)
    return undefined
  } catch (error) {
    return error
  }
}

const clientLeft = (): DomainError =>
  new DomainError(409, 'bad_request', 'The client left, and the call was canceled.', { type: 'client_closed' })

interface Collection {
  add(group: EventGroup): void
  last(): StreamEvent | undefined
  reply(): KeptReply
}

function createCollection(headers: Record<string, string>): Collection {
  const events: StreamEvent[] = []
  let last: StreamEvent | undefined
  let characters = 0
  return {
    add: group => {
      for (const event of [group].flat()) {
        last = event
        characters += typeof event === 'string' ? event.length : event.data.length
        if (characters <= LONGEST_KEPT) events.push(event)
        else events.length = 0
      }
    },
    last: () => last,
    reply: () => {
      const body = characters <= LONGEST_KEPT ? JSON.stringify(events) : null
      return { status: 200, headers, streamed: true, body }
    },
  }
}

const EVENTS_TOGETHER = 100

/** The events of a kept stream, at once. */
export function repeatedEvents(body: string, headers: Record<string, string>): EventStream {
  return new EventStream(inParts(JSON.parse(body) as StreamEvent[]), failureAsData, { headers })
}

async function* inParts(events: StreamEvent[]): AsyncGenerator<StreamEvent[], void> {
  for (let start = 0; start < events.length; start += EVENTS_TOGETHER)
    yield events.slice(start, start + EVENTS_TOGETHER)
}
