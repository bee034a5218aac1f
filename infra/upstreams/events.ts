import type { Readable } from 'node:stream'
import { createParser, type EventSourceMessage } from 'eventsource-parser'
import { failureOfThrown } from './failures.ts'
import { UpstreamFailure } from './upstream.ts'

const EVENT_LIMIT_CHARACTERS = 16 * 1024 * 1024
const FINISH_MS = 1_000

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
  let hasEnded = false
  // Failures reach the loop below; those of a body that is no longer read are nobody's.
  body.on('error', () => undefined)
  try {
    for await (const text of textsOf(body)) {
      parser.feed(text)
      const arrived = ready.splice(0)
      const end = arrived.findIndex(isEnd)
      hasEnded = end !== -1
      const before = hasEnded ? arrived.slice(0, end) : arrived
      if (before.length > 0) yield before
      if (hasEnded) return
    }
  } catch (error) {
    throw failureOfThrown(error, signal)
  } finally {
    if (hasEnded) finish(body)
    else body.destroy()
  }
  throw new UpstreamFailure('unavailable', 'the stream broke off')
}

/** Reads what little comes after the last event, so that the connection is kept for the next request. */
function finish(body: Readable): void {
  const tooLate = setTimeout(() => body.destroy(), FINISH_MS).unref()
  body.once('close', () => clearTimeout(tooLate))
  body.resume()
}

/** Where the last line ends in a carriage return, it may be half of a line's end: then the other half is added. */
async function* textsOf(body: Readable): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder()
  let last = ''
  for await (const bytes of body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
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
