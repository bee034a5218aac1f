import type { ServerResponse } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { chatBody, embeddingsBody, errorBody, lastChunks, piecesOf, textChunk } from './reply.ts'
import type { FakeScript, UpstreamBody } from './script.ts'

/** A call to answer: what came, what the script says, and where the reply goes. */
export interface Performance {
  body: UpstreamBody
  prompt: string
  script: FakeScript
  /** How many calls of this id came before. */
  earlierCalls: number
  response: ServerResponse
  gone: AbortSignal
  /** Waits for the release of the call; false where its client is gone before. */
  released(): Promise<boolean>
}

/** Plays one call's script. A client that goes away ends it: then it rejects with an AbortError. */
export async function play(given: Performance, defaultDelayMs: number): Promise<void> {
  const call = numbered(withoutPastDeaths(given))
  const { script, response } = call
  for (const [name, value] of Object.entries(script.headers ?? {})) response.setHeader(name, value)
  const isDelayed = call.earlierCalls < (script.delayTimes ?? Infinity)
  const delayMs = isDelayed ? (script.delayMs ?? defaultDelayMs) : 0
  if (delayMs > 0) await delay(delayMs, undefined, { signal: call.gone })
  if (script.held === true && !(await call.released())) return
  if (script.hang) return untilGone(call.gone)
  const status = failureOf(call)
  if (status !== undefined) return fail(call, status)
  if (call.body.stream) return playStream(call)
  return playPlain(call)
}

/** The call without a death that only earlier ones were to die. */
function withoutPastDeaths(call: Performance): Performance {
  const { dieAfterChunks: _past, ...script } = call.script
  return call.earlierCalls < (call.script.dieTimes ?? Infinity) ? call : { ...call, script }
}

function numbered(call: Performance): Performance {
  const { script, earlierCalls } = call
  if (script.numbered !== true || script.chunks === undefined) return call
  const number = String(earlierCalls + 1)
  return { ...call, script: { ...script, chunks: script.chunks.map(chunk => chunk.replaceAll('#', number)) } }
}

function failureOf({ script, earlierCalls }: Performance): number | undefined {
  if (script.failTimes === undefined) return script.status
  return earlierCalls < script.failTimes ? (script.status ?? 503) : undefined
}

function fail({ script, response }: Performance, status: number): void {
  if (script.cut) return void response.destroy()
  if (script.retryAfter !== undefined) response.setHeader('retry-after', String(script.retryAfter))
  sendJson(response, status, JSON.stringify(errorBody(script, status)))
}

async function playPlain(call: Performance): Promise<void> {
  const { script, response } = call
  const text = plainBody(call)
  if (script.dieAfterChunks === undefined && script.hangAfterChunks === undefined) return sendJson(response, 200, text)
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  await written(response, text.slice(0, text.length / 2))
  if (script.dieAfterChunks !== undefined) response.destroy()
  else await untilGone(call.gone)
}

function plainBody({ script, body, prompt }: Performance): string {
  if (script.raw !== undefined) return script.raw.reply
  if (script.malformed) return '{"choices": [{"message":'
  if (script.errorIn200) return JSON.stringify(errorBody(script, script.status ?? 500))
  if (body.messages === undefined) return JSON.stringify(embeddingsBody(script, body))
  return JSON.stringify(chatBody(script, body, piecesOf(script, body, prompt).join('')))
}

async function playStream(call: Performance): Promise<void> {
  const { script, body, response } = call
  const pieces = piecesOf(script, body, call.prompt)
  response.writeHead(200, { 'content-type': 'text/event-stream' })
  if (script.raw !== undefined) return void response.end(script.raw.stream)
  response.flushHeaders()
  const untilChunk = script.dieAfterChunks ?? script.hangAfterChunks ?? pieces.length
  for (const [index, piece] of pieces.slice(0, untilChunk).entries()) {
    if (index === script.heldAfterChunks && !(await call.released())) return
    if (script.chunkDelayMs) await delay(script.chunkDelayMs, undefined, { signal: call.gone })
    await written(response, event(textChunk(script, body, piece, index === 0)))
  }
  if (script.dieAfterChunks !== undefined) response.destroy()
  else if (script.hangAfterChunks !== undefined) await untilGone(call.gone)
  else response.end(streamEnd(script, body, pieces.join('')))
}

function streamEnd(script: FakeScript, body: UpstreamBody, text: string): string {
  if (script.malformed) return 'data: {"choices": [{"delta":\n\n'
  if (script.errorIn200) return event(errorBody(script, script.status ?? 500))
  if (script.noDone) return ''
  return [...lastChunks(script, body, text)].map(event).join('') + 'data: [DONE]\n\n'
}

function event(data: object): string {
  return `data: ${JSON.stringify(data)}\n\n`
}

/** The script's status belongs to the failure; a reply is 200. */
function sendJson(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) })
  response.end(text)
}

/** Resolves when the bytes have left, so that what was sent before a cut connection arrives. */
function written(response: ServerResponse, text: string): Promise<void> {
  return new Promise(resolve => response.write(text, () => resolve()))
}

function untilGone(gone: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (gone.aborted) resolve()
    else gone.addEventListener('abort', () => resolve(), { once: true })
  })
}
