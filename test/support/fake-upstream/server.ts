import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import { ALL, CallRecords, type FakeCall } from './calls.ts'
import { play } from './play.ts'
import { HANGS_AFTER_MS } from '../until.ts'
import { FakeVideos } from './videos.ts'
import { promptOf, scriptAfterTools, scriptOf, type FakeScript, type UpstreamBody } from './script.ts'

export interface RunningFakeUpstream {
  /** The base for an OpenAI client, ending in `/v1`. */
  url: string
  close(): Promise<void>
}

interface State {
  records: CallRecords
  videos: FakeVideos
  defaultDelayMs: number
}

/**
 * An OpenAI-compatible upstream that does what each request tells it to (`FakeScript`), and else answers
 * `echo: <text>` with usage in words. What it was called with is read over HTTP (see `client.ts`), so that tests in
 * any process can look: GET /__calls/<id or group>, GET /__stats, POST /__defaults;
 * what is held is released by POST /__calls/<id>/release.
 */
export async function startFakeUpstream(): Promise<RunningFakeUpstream> {
  const state: State = { records: new CallRecords(), videos: new FakeVideos(), defaultDelayMs: 0 }
  const server = createServer((request, response) => void answer(state, request, response))
  server.keepAliveTimeout = 600_000
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/v1`,
    close: async () => {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

async function answer(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  try {
    const path = request.url ?? '/'
    if (path.startsWith('/__')) await control(state, request, response)
    else await upstream(state, path, request, response)
  } catch (error) {
    if (response.destroyed) return
    send(response, 500, { error: { message: `the fake upstream failed: ${String(error)}` } })
  }
}

const TAKEN = ['/v1/chat/completions', '/v1/messages', '/v1/embeddings', '/v1/videos']

const isFailing = ({ status, failTimes = Infinity }: FakeScript, earlierCalls: number): boolean =>
  status !== undefined && earlierCalls < failTimes

async function upstream(state: State, path: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (path === '/v1/models') return send(response, 200, { object: 'list', data: [{ id: 'fake', object: 'model' }] })
  if (path.startsWith('/v1/videos/')) return state.videos.answer(path, response)
  if (!TAKEN.includes(path)) return send(response, 404, { error: { message: path } })
  const body = JSON.parse(await textOf(request)) as FakeCall['body']
  const prompt = promptOf(body)
  const script = scriptAfterTools(scriptOf(prompt), body)
  const earlierCalls = script.id === undefined ? 0 : state.records.calls(script.id).length
  const gone = record(state.records, script, request, response, body)
  if (script.video !== undefined && !isFailing(script, earlierCalls)) {
    return send(response, 202, state.videos.start(script.video))
  }
  const released = () => state.records.released(script.id ?? '', gone)
  await play({ body, prompt, script, earlierCalls, response, gone, released }, state.defaultDelayMs)
}

/** Records a call from its start to its end; the signal is aborted when the connection is gone. */
function record(
  records: CallRecords,
  script: FakeScript,
  request: IncomingMessage,
  response: ServerResponse,
  body: FakeCall['body'],
): AbortSignal {
  const keys = [ALL, ...[script.id, script.group].filter(key => key !== undefined)]
  const call = startedCall(request, body)
  const gone = new AbortController()
  const sentBefore = sentBy(request.socket)
  records.start(keys, call)
  response.once('close', () => {
    call.endedAt = Date.now()
    call.completed = response.writableFinished
    call.aborted = !call.completed && script.dieAfterChunks === undefined
    call.bytesSent = sentBy(request.socket) - sentBefore
    records.end(keys, call)
    if (!call.completed) gone.abort()
  })
  return gone.signal
}

function startedCall(request: IncomingMessage, body: UpstreamBody & Record<string, unknown>): FakeCall {
  const { authorization, ...headers } = request.headers
  const hadKey = authorization !== undefined
  const model = body.model ?? ''
  const open = { endedAt: null, aborted: false, completed: false, bytesSent: 0 }
  return { at: Date.now(), path: request.url ?? '', model, body, headers, hadKey, ...open }
}

function sentBy(socket: Socket): number {
  return socket.bytesWritten
}

async function control(state: State, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://fake')
  if (url.pathname === '/__stats') return send(response, 200, state.records.stats(url.searchParams.get('key') ?? ALL))
  if (url.pathname === '/__defaults') {
    state.defaultDelayMs = (JSON.parse(await textOf(request)) as { delayMs: number }).delayMs
    return send(response, 200, { delayMs: state.defaultDelayMs })
  }
  const [, key = '', isRelease] = /^\/__calls\/([^/]*)(\/release)?$/.exec(url.pathname) ?? []
  if (isRelease !== undefined) return send(response, 200, state.records.release(decodeURIComponent(key)))
  await calls(state.records, decodeURIComponent(key), url, response)
}

/** What was called with a key, once it is as the query says. */
async function calls(records: CallRecords, key: string, url: URL, response: ServerResponse): Promise<void> {
  const deadline = AbortSignal.timeout(Number(url.searchParams.get('timeout_ms') ?? HANGS_AFTER_MS))
  const isSo = condition(records, key, url.searchParams.get('wait'))
  const cameTrue = await records.until(key, isSo, deadline)
  send(response, cameTrue ? 200 : 408, records.calls(key))
}

/** `aborted`, `completed`, `count:N` (calls begun) or `completed:N`; nothing is true at once. */
function condition(records: CallRecords, key: string, wait: string | null): () => boolean {
  const [what, count = '1'] = (wait ?? 'count:0').split(':')
  const least = Number(count)
  return () => {
    const { calls, aborted, completed } = records.stats(key)
    const have = what === 'aborted' ? aborted : what === 'completed' ? completed : calls
    return have >= least
  }
}

async function textOf(request: IncomingMessage): Promise<string> {
  let text = ''
  request.setEncoding('utf8')
  for await (const chunk of request as AsyncIterable<string>) text += chunk
  return text
}

function send(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' })
  response.end(JSON.stringify(body))
}
