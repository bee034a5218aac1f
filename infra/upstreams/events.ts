import type { Readable } from 'node:stream'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { failureOfThrown } from './failures.ts'
import { UpstreamFailure } from './upstream.ts'

const EVENT_LIMIT_CHARACTERS = 16 * 1024 * 1024

/** A reply's server-sent events before the one that ends it. A stream without such an event has broken off. */
export async function* eventsUntil(
  body: Readable,
  signal: AbortSignal,
  isEnd: (event: EventSourceMessage) => boolean,
): AsyncGenerator<EventSourceMessage, void, undefined> {
  const ready: EventSourceMessage[] = []
  const parser = createParser({ onEvent: event => void ready.push(event), maxBufferSize: EVENT_LIMIT_CHARACTERS })
  try {
    for await (const text of textsOf(body)) {
      parser.feed(text)
      const arrived = ready.splice(0)
      const end = arrived.findIndex(isEnd)
      yield* end === -1 ? arrived : arrived.slice(0, end)
      if (end !== -1) return
    }
  } catch (error) {
    throw failureOfThrown(error, signal)
  } finally {
    body.destroy()
  }
  throw new UpstreamFailure('unavailable', 'the stream broke off')
}

/** Where the last line ends in a carriage return, it may be half of a line's end: then the other half is added. */
async function* textsOf(body: Readable): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let last = ''
  for await (const bytes of body as AsyncIterable<Buffer>) {
    const text = decoder.decode(bytes, { stream: true })
    last = text === '' ? last : text
    yield text
  }
  if (last.endsWith('\r')) yield '\n'
}

/** The data again, with the first that was already taken. Ending it early ends the source. */
export async function* withFirst(
  first: IteratorResult<string, void>,
  rest: AsyncGenerator<string, void, undefined>,
): AsyncGenerator<string, void, undefined> {
  try {
    if (first.done === true) return
    yield first.value
    yield* rest
  } finally {
    await rest.return()
  }
}
