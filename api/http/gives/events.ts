import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { finished } from 'node:stream/promises'
import { linkedAbort } from '../../../infra/abort.ts'
import type { Log } from '../../../infra/log.ts'
import { isFault } from '../errors/classify.ts'
import { errorReply } from '../errors/ipop.ts'
import { keyEndOf } from '../request/connection.ts'
import type { RequestContext } from '../request/request-context.ts'
import type { EventStream, StreamEvent } from './gives.ts'

/** Proxies cut idle connections; a comment every so often keeps them (WHATWG HTML section 9.2.7). */
const KEEP_ALIVE_MS = 15_000
/** How long the reader of a stream that failed has to take what tells of it. */
const LAST_EVENT_WITHIN_MS = 5_000
/** The fields of a comment and of the time until the reader should be back (WHATWG HTML section 9.2.6). */
const READ_ON = 'retry: 1000\n: nothing was read for too long; read on after the last event that came\n\n'

const EVENT_STREAM_HEADERS = {
  'content-type': 'text/event-stream; charset=utf-8',
  'cache-control': 'no-cache',
  'x-accel-buffering': 'no',
}

export interface SendOptions {
  /** A client that reads nothing for so long is given up: it holds an upstream's reply or a file open. */
  stallMs: number
  log: Pick<Log, 'info' | 'error'>
  /** The connection's. */
  signal: AbortSignal
  /** The JSON of a reply; later where it is large. */
  write: (value: unknown) => string | Promise<Uint8Array>
}

/** Sends events as they come. Resolves when the last has left; rejects where the client left before. */
export async function sendEvents(
  context: RequestContext,
  stream: EventStream,
  options: SendOptions,
  sendHead: (headers: Record<string, string>) => unknown,
): Promise<void> {
  const { request, response } = context
  sendHead({ ...EVENT_STREAM_HEADERS, ...stream.headers })
  if (request.method === 'HEAD') {
    response.end()
    return void (await stream.events[Symbol.asyncIterator]().return?.())
  }
  // They leave with the first event where that is there by then.
  const opening = setImmediate(() => response.flushHeaders())
  const keepAlive = setInterval(() => {
    if (!response.writableEnded && !response.writableNeedDrain) response.write(': keep-alive\n\n')
  }, KEEP_ALIVE_MS)
  let last: StreamEvent | undefined
  try {
    for await (const events of stream.events) {
      const together = [events].flat()
      await writeEvents(response, together.map(textOf).join(''), options)
      last = together.at(-1) ?? last
    }
    options.signal.throwIfAborted()
    response.end()
    await finished(response).catch(() => undefined)
  } catch (error) {
    await endBroken(context, stream, error, last, options)
  } finally {
    clearImmediate(opening)
    clearInterval(keepAlive)
  }
}

/** Ends a stream that did not come to its end. Errors: the same, where its client has left. */
async function endBroken(
  { requestId, response }: RequestContext,
  stream: EventStream,
  error: unknown,
  last: StreamEvent | undefined,
  { signal, stallMs, log }: SendOptions,
): Promise<void> {
  const keyEnd = keyEndOf(signal)
  if (signal.aborted && keyEnd === undefined) throw error
  if (keyEnd === undefined && error instanceof ReaderStalled) {
    log.info({ requestId }, 'a reader takes nothing')
    return stream.resumable ? endWithin(response, READ_ON, stallMs) : void response.destroy()
  }
  if (keyEnd === undefined && isFault(error)) log.error({ requestId, err: error }, 'a stream broke off')
  const failure = stream.failure(errorReply(keyEnd ?? error, requestId).body, last)
  await endWithin(response, textOf(failure), Math.min(stallMs, LAST_EVENT_WITHIN_MS))
}

function textOf(event: StreamEvent): string {
  if (typeof event === 'string') return `data: ${event}\n\n`
  const id = event.id === undefined ? '' : `id: ${event.id}\n`
  return `${id}event: ${event.event}\ndata: ${event.data}\n\n`
}

class ReaderStalled extends Error {
  override name = 'ReaderStalled'
}

/** Waits for a slow reader, so that little is held for it. Leaving the loop ends the source. Errors: ReaderStalled. */
async function writeEvents(response: ServerResponse, text: string, { signal, stallMs }: SendOptions): Promise<void> {
  if (signal.aborted) throw signal.reason
  if (response.destroyed || response.closed) throw new Error('the client went away')
  if (text === '' || response.write(text)) return
  const over = linkedAbort(signal, stallMs)
  try {
    await once(response, 'drain', { signal: over.signal })
  } catch (error) {
    if (over.isLate) throw new ReaderStalled('the reader takes nothing')
    throw signal.aborted ? signal.reason : error
  } finally {
    over.release()
  }
}

/** What was written before goes out first, where the reader takes it in time. */
async function endWithin(response: ServerResponse, text: string, withinMs: number): Promise<void> {
  response.end(text)
  await finished(response, { signal: AbortSignal.timeout(withinMs) }).catch(() => response.destroy())
}
