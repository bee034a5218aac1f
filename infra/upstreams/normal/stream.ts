import type { EventSourceMessage } from 'eventsource-parser'
import type { Chunk } from '../chunk.ts'
import type { ChunkReader } from './chunks.ts'

/** Adds the chunks that an event makes. Errors: UpstreamFailure. */
type ReadEvent = (event: EventSourceMessage, chunks: Chunk[]) => void

/**
 * A stream's events as chunks, those together that arrive together: never none. What says nothing yet is held until
 * something is said, so that another route can still be asked. What came before a fault is told; one that follows a
 * complete reply is none. Rejects with UpstreamFailure, also where nothing came of any.
 */
export async function* chunksOf(
  reader: ChunkReader,
  events: AsyncIterable<EventSourceMessage[]>,
  read: ReadEvent,
): AsyncGenerator<Chunk[], void, undefined> {
  let early: Chunk[] | undefined = []
  for await (const arrived of events) {
    const { chunks, fault } = readAll(arrived, read)
    if (early === undefined) {
      if (chunks.length > 0) yield chunks
    } else {
      early.push(...chunks)
      if (reader.hasOutput) {
        yield early
        early = undefined
      }
    }
    if (fault === undefined) continue
    if (!reader.isComplete) throw fault
    return
  }
  const last = reader.end()
  if (last !== undefined) yield [last]
}

function readAll(arrived: readonly EventSourceMessage[], read: ReadEvent): { chunks: Chunk[]; fault?: Error } {
  const chunks: Chunk[] = []
  try {
    for (const event of arrived) read(event, chunks)
    return { chunks }
  } catch (fault) {
    return { chunks, fault: fault as Error }
  }
}
