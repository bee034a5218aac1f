import { failureInBody } from '../../infra/upstreams/failures.ts'
import { UpstreamFailure } from '../../infra/upstreams/upstream.ts'
import type { ChatCall } from './chat-call.ts'
import { chunkView, closingChunk } from './reply.rules.ts'
import { usageView } from './usage.rules.ts'

export const DONE = '[DONE]'

/**
 * The upstream's chunks in their closed form, then `[DONE]` once the call is recorded. A failure ends it with an
 * error event instead, never with `[DONE]`. Leaving it early ends the call as canceled.
 */
export async function* chatChunks(
  call: ChatCall,
  events: AsyncIterable<string>,
  withUsage: boolean,
): AsyncGenerator<string> {
  try {
    for await (const data of events) {
      const chunk = parseChunk(data)
      call.sawChunk(chunk)
      const view = chunkView(call.head, chunk)
      if (view !== undefined) yield JSON.stringify(view)
    }
    const { usage, ipop } = await call.complete()
    if (withUsage) yield JSON.stringify(closingChunk(call.head, usageView(usage), ipop))
    yield DONE
  } catch (error) {
    await call.fail(error)
    if (!isAborted(error)) yield errorEvent()
  } finally {
    await call.fail(new UpstreamFailure('aborted', 'the reader left'))
  }
}

function parseChunk(data: string): Record<string, unknown> {
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

const errorEvent = (): string =>
  JSON.stringify({
    error: {
      message: 'The reply broke off: what came so far is not complete. Try again.',
      type: 'upstream_error',
      code: 'service_unavailable',
      param: null,
    },
  })
