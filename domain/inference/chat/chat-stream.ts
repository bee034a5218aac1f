import type { Chunk } from '../../../infra/upstreams/chunk.ts'
import { isAborted, UpstreamFailure } from '../../../infra/upstreams/upstream.ts'
import { DomainError } from '../../core/errors.ts'
import type { ChatCall } from './chat-call.ts'
import type { IpopMetadata } from '../metadata/reply-metadata.schema.ts'
import type { Usage } from '../tokens/usage.schema.ts'
import { chunkWriter, isUsageAlone } from './chunks.ts'
import { closingChunk, type ReplyHead } from './reply.rules.ts'

export const DONE = '[DONE]'

/** A stream's chunk in its closed form, or its end, which comes once the call is recorded and billed. */
export type ChatPart =
  { kind: 'chunk'; head: ReplyHead; chunk: Chunk } | { kind: 'end'; head: ReplyHead; usage: Usage; ipop: IpopMetadata }

/**
 * The upstream's chunks in their closed form, those together that arrive together, then the end. Rejects where the
 * reply broke off: with UpstreamFailure `aborted` where the client went away, else with a DomainError. Leaving it early
 * ends the call as canceled.
 */
export async function* chatParts(call: ChatCall, chunks: AsyncIterable<Chunk[]>): AsyncGenerator<ChatPart[], void> {
  try {
    for await (const arrived of chunks) {
      const parts = partsOf(call, arrived)
      if (parts.length > 0) yield parts
    }
    yield [{ kind: 'end', head: call.head, ...(await call.complete()) }]
  } catch (error) {
    await call.fail(error)
    throw isAborted(error) ? error : interrupted(error)
  } finally {
    if (!call.hasEnded) await call.fail(new UpstreamFailure('aborted', 'the reader left'))
  }
}

function partsOf(call: ChatCall, arrived: readonly Chunk[]): ChatPart[] {
  const parts: ChatPart[] = []
  for (const chunk of arrived) {
    call.sawChunk(chunk)
    if (!isUsageAlone(chunk)) parts.push({ kind: 'chunk', head: call.head, chunk })
  }
  return parts
}

/** The parts as the data of OpenAI's events. A failure ends it with an error event instead, never with `[DONE]`. */
export async function* chatEvents(
  parts: AsyncIterable<ChatPart[]>,
  withUsage: boolean,
): AsyncGenerator<string[], void> {
  let write: ReturnType<typeof chunkWriter> | undefined
  const dataOf = (part: ChatPart): string[] => {
    if (part.kind === 'chunk') return [(write ??= chunkWriter(part.head))(part.chunk)]
    return withUsage ? [JSON.stringify(closingChunk(part.head, part.usage, part.ipop))] : []
  }
  try {
    for await (const together of parts) {
      const data = together.flatMap(dataOf)
      if (data.length > 0) yield data
    }
    yield [DONE]
  } catch (error) {
    if (!isAborted(error)) yield [errorEvent(error)]
  }
}

const interrupted = (cause: unknown): DomainError =>
  new DomainError(503, 'service_unavailable', 'The reply broke off: what came so far is not complete. Try again.', {
    type: 'upstream_error',
    cause,
  })

/** What a stream ends with that has failed, in OpenAI's form. */
export function errorEvent(error: unknown): string {
  const { message, type, code } = error instanceof DomainError ? error : interrupted(error)
  return JSON.stringify({ error: { message, type, code, param: null } })
}
