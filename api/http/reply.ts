import { once } from 'node:events'
import { STATUS_CODES, type ServerResponse } from 'node:http'
import { finished, pipeline } from 'node:stream/promises'
import type { Context } from 'koa'
import { linkedAbort } from '../../infra/abort.ts'
import type { Log } from '../../infra/log.ts'
import { errorReply, isFault } from './errors.ts'
import { JsonText } from './json-text.ts'
import { keyEndOf } from './key-end.ts'
import { hasUnreadBody, linger } from './linger.ts'
import type { Passage } from './passage.ts'
import { EventStream, Reply, type AnyRoute, type BinaryReply, type StreamEvent } from './route.ts'

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
  passage: Passage
  /** A client that reads nothing for so long is given up: it holds an upstream's reply or a file open. */
  stallMs: number
  log: Pick<Log, 'info' | 'error'>
  /** The connection's. */
  gone: AbortSignal
  /** The JSON of a reply; later where it is large. */
  write: (value: unknown) => string | Promise<Uint8Array>
}

/** Sends what a handler gave. Resolves when the reply is on its way whole or its client is gone. */
export function sendReply(
  ctx: Context,
  route: AnyRoute,
  result: unknown,
  options: SendOptions,
): Promise<void> | undefined {
  if (result instanceof EventStream) return sendEvents(ctx, result, options)
  if (route.kind === 'binary') return sendBinary(ctx, result as BinaryReply, options)
  const { status, headers, body } = result instanceof Reply ? result : new Reply(result)
  const own = { status: status ?? route.status ?? 200, headers }
  if (route.reply === undefined) sendEmpty(ctx, options.passage, own)
  else return sendBody(ctx, options, own, body)
  return undefined
}

function sendBody(ctx: Context, { passage, write }: SendOptions, head: Head, body: unknown): Promise<void> | undefined {
  const json = body instanceof JsonText ? body.text : write(body)
  if (json instanceof Promise) return json.then(bytes => sendJson(ctx, passage, head, bytes))
  sendJson(ctx, passage, head, json)
  return undefined
}

/** Answers with the closed error body, unless a reply is under way. */
export function sendError(ctx: Context, error: unknown, passage: Passage): void {
  if (ctx.headerSent) return void ctx.res.destroy()
  const { body, ...head } = errorReply(error, passage.requestId)
  sendJson(ctx, passage, head, JSON.stringify(body))
}

/** Answers without a body. */
export const sendEmpty = (ctx: Context, passage: Passage, head: Head): void =>
  endReply(ctx, sendHead(ctx, passage, head))

interface Head {
  status: number
  headers: Record<string, string>
}

function sendJson(ctx: Context, passage: Passage, { status, headers }: Head, text: string | Uint8Array): void {
  passage.headers['content-type'] = 'application/json; charset=utf-8'
  passage.headers['content-length'] = String(Buffer.byteLength(text))
  endReply(ctx, sendHead(ctx, passage, { status, headers }), text)
}

/** Ends a reply, of which the text is all; behind a body that nobody has read, when no more of it comes. */
function endReply({ req }: Context, res: ServerResponse | undefined, text: string | Uint8Array = ''): void {
  // As a text it leaves in one piece with its head.
  if (res === undefined || !hasUnreadBody(req) || req.destroyed) return void res?.end(text)
  res.flushHeaders()
  if (text !== '') res.write(text)
  const end = linger(req.socket, () => res.end())
  req.once('end', end).resume()
}

/** Every reply's head leaves here. Undefined where the client is gone. */
function sendHead(ctx: Context, passage: Passage, { status, headers }: Head): ServerResponse | undefined {
  const { req, res } = ctx
  if (res.writableEnded || res.socket?.writable === false) return undefined
  // What is left of an upload nobody reads would keep the connection busy.
  const close = hasUnreadBody(req) ? { connection: 'close' } : {}
  // A header that cannot be written fails this reply, and must not fail the one that tells of it.
  return res.writeHead(status, STATUS_CODES[status] ?? '', { ...passage.headers, ...headers, ...close })
}

async function sendBinary(ctx: Context, reply: BinaryReply, { passage, stallMs, gone }: SendOptions): Promise<void> {
  // A source that fails before its first byte is answered as any failure is.
  if (ctx.method !== 'HEAD') await Promise.race([once(reply.body, 'readable'), once(reply.body, 'close')])
  const headers = { 'content-type': reply.contentType, ...reply.headers }
  const res = sendHead(ctx, passage, { status: reply.status ?? 200, headers })
  if (res === undefined) return void reply.body.destroy()
  if (ctx.method === 'HEAD') {
    reply.body.destroy()
    return void res.end()
  }
  res.socket?.setTimeout(stallMs)
  // A source that fails midway breaks the transfer off, and so does a client that leaves.
  await pipeline(reply.body, res, { signal: gone }).catch(() => res.destroy())
}

async function sendEvents(ctx: Context, stream: EventStream, options: SendOptions): Promise<void> {
  const { passage, gone } = options
  const { res } = ctx
  sendHead(ctx, passage, { status: 200, headers: { ...EVENT_STREAM_HEADERS, ...stream.headers } })
  if (ctx.method === 'HEAD') {
    res.end()
    return void (await stream.events[Symbol.asyncIterator]().return?.())
  }
  // They leave with the first event where that is there by then.
  const opening = setImmediate(() => res.flushHeaders())
  const keepAlive = setInterval(() => {
    if (!res.writableEnded && !res.writableNeedDrain) res.write(': keep-alive\n\n')
  }, KEEP_ALIVE_MS)
  let last: StreamEvent | undefined
  try {
    for await (const events of stream.events) {
      const together = [events].flat()
      await writeEvents(res, together.map(textOf).join(''), options)
      last = together.at(-1) ?? last
    }
    gone.throwIfAborted()
    res.end()
    await finished(res).catch(() => undefined)
  } catch (error) {
    await endBroken(res, stream, error, last, options)
  } finally {
    clearImmediate(opening)
    clearInterval(keepAlive)
  }
}

/** Ends a stream that did not come to its end. Errors: the same, where its client has left. */
async function endBroken(
  res: ServerResponse,
  stream: EventStream,
  error: unknown,
  last: StreamEvent | undefined,
  { passage: { requestId }, gone, stallMs, log }: SendOptions,
): Promise<void> {
  const keyEnd = keyEndOf(gone)
  if (gone.aborted && keyEnd === undefined) throw error
  if (keyEnd === undefined && error instanceof ReaderStalled) {
    log.info({ requestId }, 'a reader takes nothing')
    return stream.resumable ? dismiss(res, READ_ON, stallMs) : void res.destroy()
  }
  if (keyEnd === undefined && isFault(error)) log.error({ requestId, err: error }, 'a stream broke off')
  const failure = stream.failure(errorReply(keyEnd ?? error, requestId).body, last)
  await dismiss(res, textOf(failure), Math.min(stallMs, LAST_EVENT_WITHIN_MS))
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
async function writeEvents(res: ServerResponse, text: string, { gone, stallMs }: SendOptions): Promise<void> {
  if (gone.aborted) throw gone.reason
  if (res.destroyed || res.closed) throw new Error('the client went away')
  if (text === '' || res.write(text)) return
  const over = linkedAbort(gone, stallMs)
  try {
    await once(res, 'drain', { signal: over.signal })
  } catch (error) {
    if (over.isLate) throw new ReaderStalled('the reader takes nothing')
    throw gone.aborted ? gone.reason : error
  } finally {
    over.release()
  }
}

/** What was written before goes out first, where the reader takes it in time. */
async function dismiss(res: ServerResponse, text: string, withinMs: number): Promise<void> {
  res.end(text)
  await finished(res, { signal: AbortSignal.timeout(withinMs) }).catch(() => res.destroy())
}
