import type { Chunk } from '../../../infra/upstreams/chunk.ts'
import type { ReplyHead } from './reply.rules.ts'

/** Figures come with no choice too, and are not passed on as they come. */
export const isUsageAlone = (chunk: Chunk): boolean => chunk.choicesJson === undefined && chunk.choices.length === 0

/** The closed form of a stream's chunk. */
export const chunkView = (head: ReplyHead, { choices }: Pick<Chunk, 'choices'>) => ({
  ...head,
  object: 'chat.completion.chunk',
  choices,
})

/** Writes the closed form of a stream's chunks: what they have in common is written once. */
export function chunkWriter(head: ReplyHead): (chunk: Chunk) => string {
  const common = JSON.stringify({ ...head, object: 'chat.completion.chunk' }).slice(0, -1)
  return chunk => `${common},"choices":${chunk.choicesJson ?? JSON.stringify(chunk.choices)}}`
}
