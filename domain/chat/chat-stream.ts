import { failureInBody } from '../../infra/upstreams/failures.ts'
import { UpstreamFailure } from '../../infra/upstreams/upstream.ts'
import { DomainError } from '../errors.ts'
import type { ChatCall } from './chat-call.ts'
import type { IpopMetadata, Usage } from './chat.schema.ts'
import { chunkView, closingChunk, type ReplyHead } from './reply.rules.ts'

export const DONE = '[DONE]'

/** A stream's chunk in its closed form, or its end, which comes once the call is recorded and billed. */
export type ChatPart =
  { kind: 'chunk'; chunk: Record<string, unknown> } | { kind: 'end'; head: ReplyHead; usage: Usage; ipop: IpopMetadata }

/**
 * The upstream's chunks in their closed form, then the end. Rejects where the reply broke off: with UpstreamFailure
 * `aborted` where the client went away, else with a DomainError. Leaving it early ends the call as canceled.
 */
export async function* chatParts(call: ChatCall, events: AsyncIterable<string>): AsyncGenerator<ChatPart, void> {
  try {
    for await (const data of events) {
      const received = parseChunk(data)
      call.sawChunk(received)
      const chunk = chunkView(call.head, received)
      if (chunk !== undefined) yield { kind: 'chunk', chunk }
    }
    yield { kind: 'end', head: call.head, ...(await call.complete()) }
  } catch (error) {
    await call.fail(error)
    throw isAborted(error) ? error : brokenOff(error)
  } finally {
    await call.fail(new UpstreamFailure('aborted', 'the reader left'))
  }
}

/** The parts as the data of OpenAI's events. A failure ends it with an error event instead, never with `[DONE]`. */
export async function* chatEvents(parts: AsyncIterable<ChatPart>, withUsage: boolean): AsyncGenerator<string, void> {
  try {
    for await (const part of parts) {
      if (part.kind === 'chunk') yield JSON.stringify(part.chunk)
      else if (withUsage) yield JSON.stringify(closingChunk(part.head, part.usage, part.ipop))
    }
    yield DONE
  } catch (error) {
    if (!isAborted(error)) yield errorEvent(error)
  }
}

/** An event's chunk. Errors: UpstreamFailure where it is none, or holds an error. */
export function parseChunk(data: string): Record<string, unknown> {
  let chunk: unknown
  try {
    chunk = JSON.parse(data)
  } catch {
    throw new UpstreamFailure('unavailable', 'a chunk is not JSON')
  }
  if (typeof chunk !== 'object' || chunk === null) throw new UpstreamFailure('unavailable', 'a chunk is not an object')
  const failure = failureInBody(chunk as Record<string, unknown>)
  if (failure !== undefined) throw failure
  return chunk as Record<string, unknown>
}

const isAborted = (error: unknown): boolean => error instanceof UpstreamFailure && error.kind === 'aborted'

const brokenOff = (cause: unknown): DomainError =>
  new DomainError(503, 'service_unavailable', 'The reply broke off: what came so far is not complete. Try again.', {
    type: 'upstream_error',
    cause,
  })

function errorEvent(error: unknown): string {
  const { message, type, code } = error instanceof DomainError ? error : brokenOff(error)
  return JSON.stringify({ error: { message, type, code, param: null } })
}
