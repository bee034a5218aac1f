import { describe, expect, test } from '@jest/globals'
import type { ChatPart } from '../../../../domain/inference/chat/chat-stream.ts'
import { firstSentenceWhole, toTheEnd } from '../../../../domain/inference/chat/delivery.ts'
import { chunkOf } from '../../../support/chunks.ts'

const head = { id: 'chatcmpl-r', created: 1, model: 'm' }
const part = (delta: object): ChatPart => {
  return { kind: 'chunk', head, chunk: chunkOf(delta) }
}
const text = (content: string) => part({ content })
const toolCall = part({ tool_calls: [{ index: 0, id: 'c', function: { name: 'f' } }] })

/** How many parts the source had given when each came out. */
async function deliveries(all: ChatPart[]): Promise<number[]> {
  let given = 0
  const source = (async function* () {
    for (const part of all) {
      given += 1
      yield [part]
    }
  })()
  const seen: number[] = []
  for await (const parts of firstSentenceWhole(source)) seen.push(...parts.map(() => given))
  return seen
}

describe('a first sentence', () => {
  test.each<[string, ChatPart[], number[]]>([
    ['is held until it is whole', ['One ', 'two', '. ', 'Three', ' four.'].map(text), [3, 3, 3, 4, 5]],
    ['may end with the line', ['a\n', 'b'].map(text), [1, 2]],
    ['that never ends is let go with the reply', ['a', 'b', 'c'].map(text), [3, 3, 3]],
    ['is not waited for before a tool call', [text('a'), toolCall, text('b')], [2, 2, 3]],
    ['is not waited for too long', [text('x'.repeat(500)), text('y')], [1, 2]],
    ['with a number in it is not cut at its point', ['3.', '14 is', ' pi. ', 'Yes'].map(text), [3, 3, 3, 4]],
  ])('%s', async (_what, parts, expected) => {
    expect(await deliveries(parts)).toEqual(expected)
  })
})

describe('a reply that outlives its reader', () => {
  test('is drawn to its end when the reader leaves', async () => {
    let drawn = 0
    const source = (async function* () {
      for (; drawn < 5;) {
        drawn += 1
        yield text(`${drawn}`)
      }
    })()
    const parts = toTheEnd(source)
    await parts.next()
    await parts.return()
    expect(drawn).toBe(5)
  })

  test('fails for its reader as it fails', async () => {
    const source = (async function* () {
      yield text('a')
      throw new Error('broke off')
    })()
    const parts = toTheEnd(source)
    await parts.next()
    await expect(parts.next()).rejects.toThrow('broke off')
  })
})
