import { once } from 'node:events'
import { STATUS_CODES, type ServerResponse } from 'node:http'
import { pipeline } from 'node:stream/promises'
import { errorText, type Dialect } from './errors/dialects.ts'
import { hasUnreadBody, linger } from './request/linger.ts'
import type { RequestContext } from './request/request-context.ts'
import type { AnyRoute } from './route.ts'
import { sendEvents, type SendOptions } from './gives/events.ts'
import { Bytes, EventStream, Reply } from './gives/gives.ts'
import { JsonText } from './gives/json-text.ts'

const JSON_TYPE = 'application/json; charset=utf-8'

/** What is true of every success of an operation: without anything to give, it answers without a body. */
type Success = Pick<AnyRoute, 'status' | 'gives'>

/** Sends what a handler returned. Resolves when the reply is on its way whole or its client is gone. */
export function sendReply(
  context: RequestContext,
  success: Success,
  result: unknown,
  options: SendOptions,
): Promise<void> | undefined {
  if (result instanceof EventStream) {
    return sendEvents(context, result, options, head => sendHead(context, { status: 200, headers: head }))
  }
  if (result instanceof Bytes) return sendBytes(context, success, result, options)
  const { status = success.status, headers, body } = result instanceof Reply ? result : new Reply(result)
  if (success.gives.length > 0) return sendJson(context, { status, headers }, body, options)
  sendEmpty(context, { status, headers })
  return undefined
}

function sendJson(
  context: RequestContext,
  head: Head,
  body: unknown,
  { write }: SendOptions,
): Promise<void> | undefined {
  const json = body instanceof JsonText ? body.text : write(body)
  if (json instanceof Promise) return json.then(bytes => sendText(context, head, JSON_TYPE, bytes))
  sendText(context, head, JSON_TYPE, json)
  return undefined
}

/** Answers with the error in the operation's dialect, unless a reply is under way. */
export function sendError(context: RequestContext, error: unknown, dialect: Dialect = 'ipop'): void {
  if (context.response.headersSent) return void context.response.destroy()
  const { contentType, text, ...head } = errorText(dialect, error, context)
  sendText(context, head, contentType, text)
}

/** Answers without a body. */
export const sendEmpty = (context: RequestContext, head: Head): void => endReply(context, sendHead(context, head))

interface Head {
  status: number
  headers: Record<string, string>
}

function sendText(context: RequestContext, head: Head, contentType: string, text: string | Uint8Array): void {
  context.replyHeaders['content-type'] = contentType
  context.replyHeaders['content-length'] = String(Buffer.byteLength(text))
  endReply(context, sendHead(context, head), text)
}

/** Ends a reply, of which the text is all; behind a body that nobody has read, when no more of it comes. */
function endReply(
  { request }: RequestContext,
  response: ServerResponse | undefined,
  text: string | Uint8Array = '',
): void {
  // As a text it leaves in one piece with its head.
  if (response === undefined || !hasUnreadBody(request) || request.destroyed) return void response?.end(text)
  response.flushHeaders()
  if (text !== '') response.write(text)
  const end = linger(request.socket, () => response.end())
  request.once('end', end).resume()
}

/** Every reply's head leaves here. Undefined where the client is gone. */
function sendHead(context: RequestContext, { status, headers }: Head): ServerResponse | undefined {
  const { request, response, replyHeaders } = context
  if (response.writableEnded || response.socket?.writable === false) return undefined
  // What is left of an upload nobody reads would keep the connection busy.
  const close = hasUnreadBody(request) ? { connection: 'close' } : {}
  // A header that cannot be written fails this reply, and must not fail the one that tells of it.
  return response.writeHead(status, STATUS_CODES[status] ?? '', { ...replyHeaders, ...headers, ...close })
}

async function sendBytes(
  context: RequestContext,
  success: Success,
  reply: Bytes,
  { stallMs, signal }: SendOptions,
): Promise<void> {
  const { body, contentType } = reply
  const type: Record<string, string> = contentType === undefined ? {} : { 'content-type': contentType }
  const head = { status: reply.status ?? success.status, headers: { ...type, ...reply.headers } }
  if (body === undefined || context.request.method === 'HEAD') {
    body?.destroy()
    return sendEmpty(context, head)
  }
  // A source that fails before its first byte is answered as any failure is.
  await Promise.race([once(body, 'readable'), once(body, 'close')])
  const response = sendHead(context, head)
  if (response === undefined) return void body.destroy()
  response.socket?.setTimeout(stallMs)
  // A source that fails midway breaks the transfer off, and so does a client that leaves.
  await pipeline(body, response, { signal }).catch(() => response.destroy())
}
