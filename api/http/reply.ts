import { once } from 'node:events'
import { STATUS_CODES, type ServerResponse } from 'node:http'
import { finished, pipeline } from 'node:stream/promises'
import type { Context } from 'koa'
import type { Log } from '../../infra/log.ts'
import { errorReply } from './errors.ts'
import { hasUnreadBody, linger } from './linger.ts'
import type { Passage } from './passage.ts'
import { EventStream, Reply, type AnyRoute, type BinaryReply, type StreamEvent } from './route.ts'

/** Proxies cut idle connections; a comment every so often keeps them (WHATWG HTML section 9.2.7). */
const KEEP_ALIVE_MS = 15_000
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
  log: Pick<Log, 'info'>
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
  if (route.reply === undefined) endReply(ctx, sendHead(ctx, options.passage, own))
  else sendJson(ctx, options.passage, { ...own, body })
  return undefined
}

/** Answers with the closed error body, unless a reply is under way. */
export function sendError(ctx: Context, error: unknown, passage: Passage): void {
  if (ctx.headerSent) return void ctx.res.destroy()
  sendJson(ctx, passage, errorReply(error, passage.requestId))
}

interface Head {
  status: number
  headers: Record<string, string>
}

function sendJson(ctx: Context, passage: Passage, { status, headers, body }: Head & { body: unknown }): void {
  const text = JSON.stringify(body)
  passage.headers['content-type'] = 'application/json; charset=utf-8'
  passage.headers['content-length'] = String(Buffer.byteLength(text))
  endReply(ctx, sendHead(ctx, passage, { status, headers }), text)
}

/** Ends a reply, of which the text is all; behind a body that nobody has read, when no more of it comes. */
function endReply({ req }: Context, res: ServerResponse | undefined, text = ''): void {
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

async function sendBinary(ctx: Context, reply: BinaryReply, { passage, stallMs }: SendOptions): Promise<void> {
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
  await pipeline(reply.body, res).catch(() => res.destroy())
}

async function sendEvents(ctx: Context, stream: EventStream, options: SendOptions): Promise<void> {
  const { passage, stallMs, log } = options
  const { res } = ctx
  sendHead(ctx, passage, { status: 200, headers: { ...EVENT_STREAM_HEADERS, ...stream.headers } })
  // They leave with the first event where that is there by then.
  const opening = setImmediate(() => res.flushHeaders())
  const keepAlive = setInterval(() => void (res.writableNeedDrain || res.write(': keep-alive\n\n')), KEEP_ALIVE_MS)
  try {
    for await (const events of stream.events) await writeEvents(res, [events].flat().map(textOf).join(''), stallMs)
    res.end()
    await finished(res).catch(() => undefined)
  } catch (error) {
    if (!(error instanceof ReaderStalled)) throw error
    log.info({ requestId: passage.requestId }, 'a reader takes nothing')
    if (stream.resumable) await dismiss(res, stallMs)
    else res.destroy()
  } finally {
    clearImmediate(opening)
    clearInterval(keepAlive)
  }
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
async function writeEvents(res: ServerResponse, text: string, stallMs: number): Promise<void> {
  if (res.destroyed || res.closed) throw new Error('the client went away')
  if (text === '' || res.write(text)) return
  const over = new AbortController()
  const gone = () => over.abort(new Error('the client went away'))
  const stalled = setTimeout(() => over.abort(new ReaderStalled('the reader takes nothing')), stallMs)
  res.once('close', gone)
  try {
    await once(res, 'drain', { signal: over.signal })
  } catch (error) {
    throw over.signal.aborted ? over.signal.reason : error
  } finally {
    clearTimeout(stalled)
    res.off('close', gone)
  }
}

/** What was written before goes out first, where the reader takes it in time. */
async function dismiss(res: ServerResponse, stallMs: number): Promise<void> {
  res.end(READ_ON)
  await finished(res, { signal: AbortSignal.timeout(stallMs) }).catch(() => res.destroy())
}
