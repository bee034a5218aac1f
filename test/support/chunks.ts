import type { Chunk } from '../../infra/upstreams/chunk.ts'
import { ChunkReader } from '../../infra/upstreams/normal/chunks.ts'

/** A chunk in the middle of a stream, with one choice. */
export function chunkOf(delta: object): Chunk {
  const reader = new ChunkReader()
  reader.read(JSON.stringify({ choices: [{ index: 0, delta: { content: '', role: 'assistant' } }] }))
  const chunk = reader.read(JSON.stringify({ choices: [{ index: 0, delta }] }))
  if (chunk === undefined) throw new Error('the delta says nothing')
  return chunk
}
