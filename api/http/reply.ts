import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { finished, pipeline } from 'node:stream/promises'
import type { Context } from 'koa'
import type { Passage } from './passage.ts'
import { EventStream, Reply, type AnyRoute, type BinaryReply, type StreamEvent } from './route.ts'

/** Proxies cut idle connections; a comment every so often keeps them (WHATWG HTML section 9.2.7). */
const KEEP_ALIVE_MS = 15_000
/** A client that reads nothing for so long is given up: it holds an upstream's reply or a file open. */
const READER_STALLS_MS = 120_000

/** Sends what a handler gave. Resolves when the reply is on its way whole or its client is gone. */
export async function sendReply(ctx: Context, route: AnyRoute, result: unknown, passage: Passage): Promise<void> {
  if (result instanceof EventStream) return sendEvents(ctx, result, passage)
  if (route.kind === 'binary') return sendBinary(ctx, result as BinaryReply)
  const reply = result instanceof Reply ? result : new Reply(result)
  ctx.status = reply.status ?? route.status ?? 200
  ctx.set(reply.headers)
  if (route.reply === undefined) ctx.body = null
  else ctx.body = reply.body as object
}

async function sendBinary(ctx: Context, reply: BinaryReply): Promise<void> {
  // A source that fails before its first byte is answered as any failure is.
  if (ctx.method !== 'HEAD') await Promise.race([once(reply.body, 'readable'), once(reply.body, 'close')])
  ctx.status = reply.status ?? 200
  ctx.type = reply.contentType
  ctx.set(reply.headers ?? {})
  if (ctx.method === 'HEAD') return void reply.body.destroy()
  ctx.respond = false
  ctx.res.socket?.setTimeout(READER_STALLS_MS)
  // A source that fails midway breaks the transfer off, and so does a client that leaves.
  await pipeline(reply.body, ctx.res).catch(() => ctx.res.destroy())
}

async function sendEvents(ctx: Context, stream: EventStream, passage: Passage): Promise<void> {
  ctx.respond = false
  const { res } = ctx
  res.writeHead(200, {
    'content-type': 'text/event-stream; charset=utf-8',
    'cache-control': 'no-cache',
    'x-accel-buffering': 'no',
    'x-request-id': passage.requestId,
    ...stream.headers,
  })
  // They leave with the first event where that is there by then.
  const opening = setImmediate(() => res.flushHeaders())
  const keepAlive = setInterval(() => void (res.writableNeedDrain || res.write(': keep-alive\n\n')), KEEP_ALIVE_MS)
  try {
    for await (const events of stream.events) await writeEvents(res, [events].flat().map(textOf).join(''))
    res.end()
    await finished(res).catch(() => undefined)
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

/** Waits for a slow reader, so that little is held for it. Leaving the loop ends the source. */
async function writeEvents(res: ServerResponse, text: string): Promise<void> {
  if (res.destroyed || res.closed) throw new Error('the client went away')
  if (text === '' || res.write(text)) return
  const over = new AbortController()
  const end = () => over.abort()
  const tooLong = setTimeout(end, READER_STALLS_MS)
  res.once('close', end)
  try {
    await once(res, 'drain', { signal: over.signal })
  } finally {
    clearTimeout(tooLong)
    res.off('close', end)
  }
}
