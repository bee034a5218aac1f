import { PassThrough, type Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/**
 * The bytes of a body, as they come. Leaving the loop early destroys the stream behind it; aborting ends the loop
 * at once, also while the stream stalls. Errors: those of the stream, AbortError.
 */
export async function* chunksOf(body: Readable | Uint8Array, signal?: AbortSignal): AsyncGenerator<Buffer> {
  signal?.throwIfAborted()
  if (body instanceof Uint8Array) {
    yield Buffer.from(body.buffer, body.byteOffset, body.byteLength)
    return
  }
  // Not the body itself: one made from a generator that waits cannot be destroyed before the generator goes on.
  const through = new PassThrough()
  const piped = pipeline(body, through, signal ? { signal } : {})
  // What fails the pipeline destroys `through` with the same error: the loop throws it.
  piped.catch(() => undefined)
  for await (const chunk of through as AsyncIterable<Buffer>) yield chunk
}

/**
 * The same bytes in blocks of `blockBytes`, the last one shorter (and empty only where the body is).
 * One buffer serves all blocks: a block is valid until the next one is asked for.
 */
export async function* blocksOf(chunks: AsyncIterable<Buffer>, blockBytes: number): AsyncGenerator<Buffer> {
  const block = Buffer.allocUnsafeSlow(blockBytes)
  let filled = 0
  let blocks = 0
  for await (const chunk of chunks) {
    for (let taken = 0; taken < chunk.length;) {
      const copied = chunk.copy(block, filled, taken)
      taken += copied
      filled += copied
      if (filled < blockBytes) continue
      yield block
      blocks += 1
      filled = 0
    }
  }
  if (filled > 0 || blocks === 0) yield block.subarray(0, filled)
}
