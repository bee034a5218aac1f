import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { isUsageAlone } from '../../../../../domain/inference/chat/chunks.ts'
import type { Chunk } from '../../../../../infra/upstreams/chunk.ts'
import { ChunkReader } from '../../../../../infra/upstreams/normal/chunks.ts'
import { UpstreamFailure } from '../../../../../infra/upstreams/upstream.ts'

const plain = (chunk: Chunk | undefined) => chunk && { choices: chunk.choices, text: chunk.text, usage: chunk.usage }

/** What a reader that knows no shape makes of it. */
const parsed = (reader: ChunkReader, data: string) => plain(reader.add(JSON.parse(data), true))

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
  texts.map(name => ({ tool_calls: [{ index: 0, id: 'c', function: { name, arguments: '' } }] })),
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
  test('are read as if each was parsed', () => {
    fc.assert(
      fc.property(fc.array(chunks, { minLength: 2, maxLength: 8 }), writers, (bodies, write) => {
        const [reader, other] = [new ChunkReader(), new ChunkReader()]
        for (const data of bodies.map(write)) {
          const seen = reader.read(data)
          expect(plain(seen)).toEqual(parsed(other, data))
          expect(JSON.parse(seen?.choicesJson ?? JSON.stringify(seen?.choices ?? []))).toEqual(seen?.choices ?? [])
        }
      }),
      { numRuns: 500 },
    )
  })

  test('that differ in their text alone are not parsed', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), text => {
        const reader = new ChunkReader()
        reader.read(JSON.stringify(chunk('first')))
        reader.read(JSON.stringify(chunk('second')))
        const seen = reader.read(JSON.stringify(chunk(text)))
        expect(seen?.choicesJson !== undefined).toBe(!/\\u(0000|d)/.test(JSON.stringify(text)))
        expect(seen?.text).toBe(text.replaceAll('\0', '\ufffd'))
      }),
    )
  })

  test('are not parsed either after a long stretch of reasoning and of tool calls', () => {
    const reader = new ChunkReader()
    const delta = (fields: object) => JSON.stringify({ choices: [{ index: 0, delta: fields, finish_reason: null }] })
    for (let count = 0; count < 10; count += 1) {
      reader.read(delta({ content: '', reasoning: `so ${count}` }))
      reader.read(delta({ tool_calls: [{ index: 0, function: { arguments: `${count}` } }] }))
    }
    reader.read(delta({ content: 'first' }))
    expect(reader.read(delta({ content: 'second' }))?.choicesJson).toBeDefined()
  })

  test.each([
    ['holds a quote that nothing escapes', 'a"b'],
    ['holds a control character', 'a\nb'],
    ['ends in half an escape', 'a\\'],
    ['holds an escape that JSON does not know', 'a\\x41'],
  ])('are refused where a text %s', (_what, written) => {
    const [before, after] = JSON.stringify(chunk('|')).split('|')
    const reader = new ChunkReader()
    reader.read(`${before}first${after}`)
    expect(() => reader.read(`${before}${written}${after}`)).toThrow(UpstreamFailure)
  })

  test('say what the last of two equal keys says, however often', () => {
    const twice = (first: string, last: string) =>
      `{"choices":[{"index":0,"delta":{"content":"${first}","content":"${last}"},"finish_reason":null}]}`
    const reader = new ChunkReader()
    const seen = ['the text of this delta', 'b', 'c'].map(
      first => reader.read(twice(first, 'the text of this delta'))?.text,
    )
    expect(seen).toEqual(Array(3).fill('the text of this delta'))
    expect(['a', 'b', 'c'].map(last => reader.read(twice('x', last))?.text)).toEqual(['a', 'b', 'c'])
  })

  test.each(['null', '3', '[', '"x"', '{"error":{"message":"overloaded"}}', '{"choices":[{"finish_reason":"error"}]}'])(
    'that are %s are refused',
    data => {
      expect(() => new ChunkReader().read(data)).toThrow(UpstreamFailure)
    },
  )

  test.each([{}, { choices: [] }, { choices: [], usage: { prompt_tokens: 1 } }, { choices: null }])(
    'without a choice and without whole figures are none: %j',
    body => {
      expect(new ChunkReader().read(JSON.stringify(body))).toBeUndefined()
    },
  )

  test('with figures alone are usage alone', () => {
    const usage = { prompt_tokens: 1, completion_tokens: 2 }
    const read = (body: object) => new ChunkReader().read(JSON.stringify(body)) as Chunk
    expect(isUsageAlone(read({ choices: [], usage }))).toBe(true)
    expect(isUsageAlone(read({ ...chunk('x'), usage }))).toBe(false)
  })
})

describe('letters that are cut', () => {
  const emitted = (...contents: string[]) => {
    const reader = new ChunkReader()
    const data = contents.map(content => escaped(JSON.stringify(chunk(content))))
    const seen = [...data.map(one => reader.read(one)), reader.end()]
    return seen.map(one => one?.text ?? '').join('')
  }

  test('are whole again, however a text is cut, and what is no letter is told as one that is unknown', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.array(fc.nat(30), { maxLength: 6 }), (text, places) => {
        const said = `a${text}`
        const cuts = [0, ...places.map(position => position % said.length).toSorted((a, b) => a - b), said.length]
        const pieces = cuts.slice(1).map((end, position) => said.slice(cuts[position], end))
        expect(emitted(...pieces)).toBe(said.replaceAll('\0', '\ufffd').toWellFormed())
      }),
    )
  })

  test('wait at the end of a text for the next piece of it alone', () => {
    const reader = new ChunkReader()
    const read = (delta: object) => reader.read(escaped(JSON.stringify({ choices: [{ index: 0, delta }] })))
    expect(read({ content: 'a\ud83d' })?.text).toBe('a')
    expect(read({ reasoning: '\ude00' })?.text).toBe('\ufffd')
    expect(read({ content: '\ude00b' })?.text).toBe('😀b')
    expect(read({ content: '\ud83d' })).toBeUndefined()
    expect(reader.end()?.choices).toEqual([{ index: 0, delta: { content: '\ufffd' }, finish_reason: 'stop' }])
  })
})
