import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { completionOf } from '../../../../../infra/upstreams/anthropic/reply.ts'
import { messagesRequest } from '../../../../../infra/upstreams/anthropic/request.ts'
import { anthropicWire } from '../../../../../infra/upstreams/anthropic/wire.ts'
import type { Chunk } from '../../../../../infra/upstreams/chunk.ts'
import { eventText, exchange, EXCHANGES, expectChunks, type Fields } from '../../../../support/fake-anthropic.ts'
import { replyBodyOf } from '../../../../support/reply-body.ts'

const JSON_OBJECT = fc.dictionary(fc.string(), fc.jsonValue())
const asJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value))

async function chunksOf(parts: Uint8Array[]): Promise<Chunk[]> {
  const call = { path: '/chat/completions' as const, body: {}, signal: new AbortController().signal }
  const chunks: Chunk[] = []
  for await (const together of anthropicWire.eventsOf(call, replyBodyOf(parts))) chunks.push(...together)
  return chunks
}

test('any split of the bytes of a stream gives the same chunks', async () => {
  const streams = EXCHANGES.flatMap(name => exchange(name).stream ?? []).map(({ anthropic, openai }) => ({
    bytes: Buffer.from(eventText(anthropic)),
    openai,
  }))
  const split = fc
    .constantFrom(...streams)
    .chain(stream =>
      fc
        .uniqueArray(fc.nat({ max: stream.bytes.length }), { maxLength: 60 })
        .map(cuts => ({ ...stream, cuts: cuts.toSorted((a, b) => a - b) })),
    )
  await fc.assert(
    fc.asyncProperty(split, async ({ bytes, cuts, openai }) => {
      const parts = [0, ...cuts].map((from, index) => bytes.subarray(from, cuts[index] ?? bytes.length))
      expectChunks(await chunksOf(parts.filter(part => part.length > 0)), openai)
    }),
  )
})

test('the arguments of a tool survive the way there and back, whole and in any pieces', async () => {
  await fc.assert(
    fc.asyncProperty(JSON_OBJECT, fc.integer({ min: 1, max: 9 }), async (input, size) => {
      const text = JSON.stringify(input)
      const calls = [{ id: 'c', type: 'function', function: { name: 'f', arguments: text } }]
      const sent = asJson(
        messagesRequest({ model: 'm', messages: [{ role: 'assistant', tool_calls: calls }] }),
      ) as Fields
      const [block] = sent['messages'][0].content as Fields[]
      expect(block?.['input']).toEqual(JSON.parse(text))
      const back = completionOf({ content: [block], stop_reason: 'tool_use' })
      expect(JSON.parse((back['choices'] as Fields[])[0]?.['message'].tool_calls[0].function.arguments)).toEqual(
        JSON.parse(text),
      )
      expect(JSON.parse(await streamedArguments(text, size))).toEqual(JSON.parse(text))
    }),
  )
})

async function streamedArguments(text: string, size: number): Promise<string> {
  const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
    text.slice(at * size, (at + 1) * size),
  )
  const block = { type: 'tool_use', id: 'c', name: 'f', input: {} }
  const events = [
    { type: 'message_start', message: {} },
    { type: 'content_block_start', index: 0, content_block: block },
    ...pieces.map(partial_json => ({
      type: 'content_block_delta',
      index: 0,
      delta: { type: 'input_json_delta', partial_json },
    })),
    { type: 'content_block_stop', index: 0 },
    { type: 'message_delta', delta: { stop_reason: 'tool_use' }, usage: {} },
    { type: 'message_stop' },
  ]
  const chunks = await chunksOf([Buffer.from(eventText(events))])
  const deltas = chunks.flatMap(({ choices }) => (choices as Fields[]).map(({ delta }) => delta as Fields))
  return deltas.map(delta => delta['tool_calls']?.[0].function.arguments ?? '').join('')
}

const text = fc.oneof(fc.string(), fc.constantFrom('', ' ', 'Hello'))
const parts = fc.array(
  fc.oneof(
    text.map(value => ({ type: 'text', text: value })),
    fc.constant({ type: 'image_url', image_url: { url: 'https://example.com/a.png' } }),
    fc.base64String().map(data => ({ type: 'image_url', image_url: { url: `data:image/png;base64,${data}` } })),
  ),
)
const details = fc.array(
  fc.record({
    type: fc.constantFrom('reasoning.text', 'reasoning.encrypted'),
    text,
    signature: text,
    data: text,
    index: fc.nat(2),
  }),
)
/** An assistant's message, with the results of its calls. */
const assistant = fc
  .record({
    content: fc.oneof(text, fc.constant(null)),
    inputs: fc.array(JSON_OBJECT, { maxLength: 3 }),
    details,
    results: parts,
  })
  .map(({ content, inputs, details: thought, results }) => [
    {
      role: 'assistant',
      content,
      reasoning_details: thought,
      tool_calls: inputs.map((input, at) => ({
        id: `c:${at}`,
        function: { name: 'f', arguments: JSON.stringify(input) },
      })),
    },
    ...inputs.map((_, at) => ({ role: 'tool', tool_call_id: `c:${at}`, content: results })),
  ])
const conversation = fc
  .array(
    fc.oneof(
      fc.constantFrom('system', 'developer').chain(role => text.map(content => [{ role, content }])),
      fc.oneof(text, parts).map(content => [{ role: 'user', content }]),
      assistant,
    ),
  )
  .map(groups => groups.flat())

test("any conversation is a list of alternating turns in which each call's result follows it", () => {
  fc.assert(
    fc.property(conversation, messages => {
      const sent = asJson(messagesRequest({ model: 'm', messages })) as Fields
      expect(faultsOf(sent['messages'] as Turn[])).toEqual([])
    }),
  )
})

interface Turn {
  role: string
  content: Fields[]
}

const faultsOf = (turns: Turn[]): string[] =>
  turns.flatMap(({ role, content }, index) => {
    const uses = content.filter(({ type }) => type === 'tool_use').map(({ id }) => id as string)
    const after = turns[index + 1]?.content.slice(0, uses.length).map(block => block['tool_use_id'] as string)
    return [
      ...(role === turns[index - 1]?.role ? ['two turns of one role'] : []),
      ...(content.length === 0 ? ['an empty turn'] : []),
      ...(uses.length > 0 && uses.join() !== after?.join() ? ['calls without their results'] : []),
      ...content.filter(block => !isSound(block)).map(block => JSON.stringify(block)),
    ]
  })

const ID = /^[A-Za-z0-9_-]+$/

function isSound(block: Fields): boolean {
  switch (block['type']) {
    case 'text':
      return block['text'].trim() !== ''
    case 'thinking':
      return block['signature'] !== ''
    case 'redacted_thinking':
      return block['data'] !== ''
    case 'tool_use':
      return ID.test(block['id'] as string)
    case 'tool_result':
      return ID.test(block['tool_use_id'] as string)
    default:
      return block['type'] === 'image'
  }
}
