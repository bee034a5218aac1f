import type { Readable } from 'node:stream'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { failureOfThrown } from './failures.ts'
import { UpstreamFailure } from './upstream.ts'

const EVENT_LIMIT_CHARACTERS = 16 * 1024 * 1024

/**
 * A reply's server-sent events before the one that ends it, those together that arrive together. A stream without such
 * an event has broken off.
 */
export async function* eventsUntil(
  body: Readable,
  signal: AbortSignal,
  isEnd: (event: EventSourceMessage) => boolean,
): AsyncGenerator<EventSourceMessage[], void, undefined> {
  const ready: EventSourceMessage[] = []
  const parser = createParser({ onEvent: event => void ready.push(event), maxBufferSize: EVENT_LIMIT_CHARACTERS })
  try {
    for await (const text of textsOf(body)) {
      parser.feed(text)
      const arrived = ready.splice(0)
      const end = arrived.findIndex(isEnd)
      const before = end === -1 ? arrived : arrived.slice(0, end)
      if (before.length > 0) yield before
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

/** A source again, with the first result that was already taken of it. Ending it early ends the source. */
export function withFirst<T>(
  first: IteratorResult<T, void>,
  source: AsyncGenerator<T, void, undefined>,
): AsyncIterableIterator<T, void> {
  let isFirst = true
  const next = (): Promise<IteratorResult<T, void>> => {
    if (!isFirst) return source.next()
    isFirst = false
    return Promise.resolve(first)
  }
  const again = { next, return: () => source.return(), [Symbol.asyncIterator]: () => again }
  return again
}
