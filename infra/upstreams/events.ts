import { createParser, type EventSourceMessage } from 'eventsource-parser'
import type { ReplyBody } from './exchange.ts'
import { failureOfThrown } from './failures.ts'
import { UpstreamFailure } from './upstream.ts'

const EVENT_LIMIT_CHARACTERS = 16 * 1024 * 1024
/** How long the end of a reply that is whole already is waited for. */
const END_WITHIN_MS = 2_000

/** How a stream is over. */
export interface StreamEnd {
  isEnd: (event: EventSourceMessage) => boolean
  /** Whether what came is whole where no such event comes: the connection was closed, or it broke. */
  isWhole: (how: 'closed' | 'broken') => boolean
}

/**
 * A reply's server-sent events before the one that ends it, those together that arrive together. An event without data
 * is none (keep-alives). Some servers never end a reply that is whole: they are left. Rejects with UpstreamFailure where
 * the stream broke off.
 */
export async function* eventsUntil(
  body: ReplyBody,
  signal: AbortSignal,
  { isEnd, isWhole }: StreamEnd,
): AsyncGenerator<EventSourceMessage[], void, undefined> {
  const ready: EventSourceMessage[] = []
  const parser = createParser({
    onEvent: event => void (event.data === '' || ready.push(event)),
    maxBufferSize: EVENT_LIMIT_CHARACTERS,
  })
  const readText = textReader(body)
  let hasEnded = false
  const leaving = leavingOf(body, () => isWhole('broken'))
  try {
    for (let text = await readText(); text !== undefined; text = await readText()) {
      parser.feed(text)
      const arrived = ready.splice(0)
      const end = arrived.findIndex(isEnd)
      hasEnded = end !== -1
      const before = hasEnded ? arrived.slice(0, end) : arrived
      if (before.length > 0) yield before
      if (hasEnded) return
      leaving.look()
    }
    // The last event may not have been closed by an empty line.
    parser.feed('\n\n')
    const rest = ready.filter(event => !isEnd(event))
    hasEnded = rest.length < ready.length
    if (rest.length > 0 && (hasEnded || !isWhole('closed'))) yield rest
    if (hasEnded || isWhole('closed')) return
  } catch (error) {
    const failure = failureOfThrown(error, signal)
    if (failure.kind === 'aborted' || !isWhole('broken')) throw failure
    return
  } finally {
    leaving.stop()
    if (hasEnded) body.finish()
    else body.destroy()
  }
  throw new UpstreamFailure('unavailable', 'the stream broke off')
}

/** Breaks a body off whose end does not come, once a look has found it whole. */
function leavingOf(body: ReplyBody, isWhole: () => boolean): { look(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined
  return {
    look: () => {
      if (isWhole()) timer ??= setTimeout(() => body.destroy(), END_WITHIN_MS)
    },
    stop: () => clearTimeout(timer),
  }
}

/**
 * Gives the body's text as it comes, undefined at its end. Where the last line ends in a carriage return, it may be
 * half of a line's end: then the other half is given before.
 */
function textReader(body: ReplyBody): () => Promise<string | undefined> {
  const decoder = new TextDecoder()
  let last = ''
  return async () => {
    const bytes = await body.read()
    if (bytes === undefined && !last.endsWith('\r')) return undefined
    const text = bytes === undefined ? '\n' : decoder.decode(bytes, { stream: true })
    last = text === '' ? last : text
    return text
  }
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
