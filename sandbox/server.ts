import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { answerChat, type Speed } from './chat.ts'
import { embeddingsReply } from './embeddings.ts'
import { OpenAiError } from './openai-error.ts'
import { Pace } from './pace.ts'
import { startVideo, videoContent, videoStatus } from './videos.ts'

export interface SandboxOptions {
  host: string
  /** 0 takes a free one. */
  port: number
  wordDelayMs?: number
  replyDelayMs?: number
  /** What GET /v1/models lists; every other id is answered too. */
  modelIds?: readonly string[]
}

export interface RunningSandbox {
  /** The base for an OpenAI client, ending in `/v1`. */
  url: string
  /** Finishes what is under way at once, then stops; connections still open after 3 s are cut. */
  close(): Promise<void>
}

const MAX_BODY_BYTES = 64 * 1024 * 1024
const CLOSE_GRACE_MS = 3000
const LISTED = ['sandbox', 'sandbox-embedding']

/**
 * A stand-in for a model upstream on OpenAI's wire format as OpenRouter speaks it: chat (plain and streamed, also
 * of pictures), embeddings, videos, models. It calls no model, says so in its text and in `x-ipop-sandbox: true`, takes any key, and
 * answers the same to the same request. Errors: the listen error, as for a port in use.
 */
export async function runSandbox(options: SandboxOptions): Promise<RunningSandbox> {
  const pace = new Pace()
  const server = createServer((request, response) => void answer(request, response, pace, options))
  server.keepAliveTimeout = 75_000
  server.listen(options.port, options.host)
  await once(server, 'listening')
  return { url: urlOf(server, options.host), close: () => close(server, pace) }
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}/v1`
}

/** A connection whose last reply is done stays open for the next one, so it is swept up until none is left. */
async function close(server: Server, pace: Pace): Promise<void> {
  pace.hurry()
  if (!server.listening) return
  const closed = once(server, 'close')
  server.close()
  const sweep = setInterval(() => server.closeIdleConnections(), 20)
  const cut = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS)
  await closed
  clearInterval(sweep)
  clearTimeout(cut)
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  pace: Pace,
  options: SandboxOptions,
): Promise<void> {
  const disconnected = new AbortController()
  response.once('close', () => disconnected.abort())
  response.setHeader('x-ipop-sandbox', 'true')
  try {
    await route(request, response, disconnected.signal, pace, options)
  } catch (error) {
    fail(response, error)
  }
}

async function route(
  request: IncomingMessage,
  response: ServerResponse,
  disconnected: AbortSignal,
  pace: Pace,
  options: SandboxOptions,
): Promise<void> {
  const path = new URL(request.url ?? '/', 'http://sandbox').pathname
  switch (`${request.method} ${path}`) {
    case 'POST /v1/chat/completions':
      return answerChat(await bodyOf(request), response, disconnected, pace, speedOf(options))
    case 'POST /v1/embeddings':
      return sendJson(response, 200, embeddingsReply(await bodyOf(request)))
    case 'GET /v1/models':
      return sendJson(response, 200, { object: 'list', data: (options.modelIds ?? LISTED).map(modelOf) })
    case 'POST /v1/videos':
      return sendJson(response, 202, startVideo(await bodyOf(request)))
    default:
      if (request.method === 'GET' && path.startsWith(VIDEOS)) return sendVideo(path.slice(VIDEOS.length), response)
      throw new OpenAiError(404, `Unknown request URL: ${request.method} ${path}.`, { code: 'unknown_url' })
  }
}

const VIDEOS = '/v1/videos/'

function sendVideo(path: string, response: ServerResponse): void {
  const [id = '', content] = path.split('/')
  if (content === undefined) return sendJson(response, 200, videoStatus(id))
  const clip = videoContent(id)
  response.writeHead(200, { 'content-type': 'video/mp4', 'content-length': clip.length })
  response.end(clip)
}

function speedOf({ wordDelayMs = 10, replyDelayMs }: SandboxOptions): Speed {
  return { wordDelayMs, replyDelayMs }
}

function modelOf(id: string): object {
  return { id, object: 'model', created: 0, owned_by: 'sandbox' }
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > MAX_BODY_BYTES) throw new OpenAiError(413, `The body is over ${MAX_BODY_BYTES} bytes.`)
    chunks.push(chunk)
  }
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch {
    throw new OpenAiError(400, 'The body is not valid JSON.')
  }
}

/** A failed stream, or a client that has gone, cannot be told a status any more: its connection ends. */
function fail(response: ServerResponse, error: unknown): void {
  if (response.headersSent || response.destroyed) {
    response.destroy()
    return
  }
  const known = error instanceof OpenAiError ? error : new OpenAiError(500, 'The sandbox failed.')
  sendJson(response, known.status, known.body())
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
