import { Readable } from 'node:stream'
import { expect, test } from '@jest/globals'
import { blocksOf, chunksOf } from '../../../infra/objects/body.ts'
import { until } from '../../support/until.ts'
import { patternStream } from './bodies.ts'

test.each([
  { chunks: [], blocks: [0] },
  { chunks: [3], blocks: [3] },
  { chunks: [10], blocks: [10] },
  { chunks: [9, 1], blocks: [10] },
  { chunks: [9, 2], blocks: [10, 1] },
  { chunks: [35], blocks: [10, 10, 10, 5] },
  { chunks: [1, 0, 8, 12, 9], blocks: [10, 10, 10] },
])('chunks of $chunks bytes make blocks of $blocks', async ({ chunks, blocks }) => {
  const bytes = Buffer.from(Array.from({ length: chunks.reduce((sum, size) => sum + size, 0) }, (_, i) => i))
  let from = 0
  const body = Readable.from(chunks.map(size => bytes.subarray(from, (from += size))))
  const found: Buffer[] = []
  for await (const block of blocksOf(chunksOf(body), 10)) found.push(Buffer.from(block))
  expect(found.map(block => block.length)).toEqual(blocks)
  expect(Buffer.concat(found).equals(bytes)).toBe(true)
})

test('leaving the blocks early destroys the body', async () => {
  const body = patternStream(10_000_000)
  for await (const block of blocksOf(chunksOf(body), 10)) {
    expect(block).toHaveLength(10)
    break
  }
  await until(() => body.destroyed)
  expect(body.destroyed).toBe(true)
})
