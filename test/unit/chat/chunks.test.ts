import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createChunkReader, isUsageAlone, type Chunk } from '../../../domain/chat/chunks.ts'
import { UpstreamFailure } from '../../../infra/upstreams/upstream.ts'

const plain = ({ choices, text, usage }: Chunk) => ({ choices, text, usage })

/** What a reader that knows no chunk before it makes of it. */
const readAlone = (data: string) => plain(createChunkReader()(data))

const chunk = (content: string, more: object = {}) => ({
  id: 'chatcmpl-1',
  object: 'chat.completion.chunk',
  choices: [{ index: 0, delta: { content }, finish_reason: null }],
  ...more,
})

const texts = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('', '"', '\\', '"content":"x"', 'a\nb', 'the text of this delta', '\ud83d', '\u2028', 'null'),
)
const deltas = fc.oneof(
  texts.map(content => ({ content })),
  texts.map(content => ({ role: 'assistant', content })),
  texts.map(content => ({ content, reasoning: content })),
  texts.map(reasoning => ({ reasoning })),
  texts.map(name => ({ tool_calls: [{ index: 0, function: { name, arguments: '' } }] })),
)
const chunks = fc.record(
  {
    id: fc.constantFrom('a', 'b'),
    note: texts,
    usage: fc.constantFrom(null, { prompt_tokens: 1, completion_tokens: 2 }),
    choices: fc.array(fc.record({ index: fc.nat(1), delta: deltas, finish_reason: fc.constantFrom(null, 'stop') }), {
      minLength: 0,
      maxLength: 2,
    }),
  },
  { requiredKeys: ['id', 'choices'] },
)
const escaped = (json: string) =>
  json.replace(/[^\x20-\x7e]/g, letter => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`)

/** JSON as different upstreams write it. */
const writers = fc.constantFrom<(body: unknown) => string>(
  body => JSON.stringify(body),
  body => JSON.stringify(body, null, 1).replaceAll('\n', ''),
  body => escaped(JSON.stringify(body)),
)

describe('the chunks of a stream', () => {
  test('are read as if each came alone', () => {
    fc.assert(
      fc.property(fc.array(chunks, { minLength: 2, maxLength: 8 }), writers, (bodies, write) => {
        const read = createChunkReader()
        for (const data of bodies.map(write)) {
          const seen = read(data)
          expect(plain(seen)).toEqual(readAlone(data))
          expect(JSON.parse(seen.choicesJson ?? JSON.stringify(seen.choices))).toEqual(seen.choices)
        }
      }),
      { numRuns: 500 },
    )
  })

  test('that differ in their text alone are not parsed', () => {
    fc.assert(
      fc.property(texts, writers, (text, write) => {
        const read = createChunkReader()
        read(write(chunk('first')))
        const seen = read(write(chunk(text)))
        expect(seen.choicesJson).toBeDefined()
        expect(plain(seen)).toEqual(readAlone(write(chunk(text))))
      }),
    )
  })

  test('are not parsed either after a long stretch of reasoning and of tool calls', () => {
    const read = createChunkReader()
    const delta = (fields: object) => JSON.stringify({ choices: [{ index: 0, delta: fields, finish_reason: null }] })
    for (let count = 0; count < 10; count += 1) {
      read(delta({ content: '', reasoning: `so ${count}` }))
      read(delta({ tool_calls: [{ index: 0, function: { arguments: `${count}` } }] }))
    }
    read(delta({ content: 'first' }))
    expect(read(delta({ content: 'second' })).choicesJson).toBeDefined()
  })

  test.each([
    ['holds a quote that nothing escapes', 'a"b'],
    ['holds a control character', 'a\nb'],
    ['ends in half an escape', 'a\\'],
    ['holds an escape that JSON does not know', 'a\\x41'],
  ])('are refused where a text %s', (_what, written) => {
    const [before, after] = JSON.stringify(chunk('|')).split('|')
    const read = createChunkReader()
    read(`${before}first${after}`)
    expect(() => read(`${before}${written}${after}`)).toThrow(UpstreamFailure)
  })

  test('say what the last of two equal keys says, however often', () => {
    const twice = (first: string, last: string) =>
      `{"choices":[{"index":0,"delta":{"content":"${first}","content":"${last}"},"finish_reason":null}]}`
    const read = createChunkReader()
    const seen = ['the text of this delta', 'b', 'c'].map(first => read(twice(first, 'the text of this delta')).text)
    expect(seen).toEqual(Array(3).fill('the text of this delta'))
    expect(['a', 'b', 'c'].map(last => read(twice('x', last)).text)).toEqual(['a', 'b', 'c'])
  })

  test.each(['null', '3', '[', '"x"', '{"error":{"message":"overloaded"}}'])('that are %s are refused', data => {
    expect(() => createChunkReader()(data)).toThrow(UpstreamFailure)
  })

  test.each([{}, { choices: [] }, { choices: [], usage: { prompt_tokens: 1 } }, { choices: null }])(
    'without a choice are usage alone: %j',
    body => {
      expect(isUsageAlone(createChunkReader()(JSON.stringify(body)))).toBe(true)
      expect(isUsageAlone(createChunkReader()(JSON.stringify(chunk('x'))))).toBe(false)
    },
  )
})
