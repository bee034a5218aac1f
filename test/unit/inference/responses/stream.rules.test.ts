import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import type { NewEvent } from '../../../../domain/durable/event-log/event-log.rules.ts'
import { createOutputStream } from '../../../../domain/inference/responses/stream.rules.ts'

type Piece = { text: string } | { call: number; name: string; args: string }

const pieces = fc.array(
  fc.oneof(
    fc.record({ text: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }) }),
    fc.record({
      call: fc.nat(3),
      name: fc.constantFrom('read_file', 'search'),
      args: fc.json({ maxDepth: 1 }),
    }),
  ),
  { maxLength: 8 },
)

/** A model calls its tools one after another: indices count up. */
function inOrder(given: readonly Piece[]): Piece[] {
  let calls = 0
  return given.map(piece => ('text' in piece ? piece : { ...piece, call: calls++ }))
}

/** The pieces as chunks; texts and arguments in fragments of this many characters. */
function* chunksOf(given: readonly Piece[], size: number): Generator<{ choices: object[] }> {
  const chunk = (delta: object) => ({ choices: [{ index: 0, delta, finish_reason: null }] })
  for (const piece of given) {
    if ('text' in piece) {
      for (const content of fragments(piece.text, size)) yield chunk({ content })
      continue
    }
    const { call: index, name, args } = piece
    yield chunk({ tool_calls: [{ index, id: `call_${index}`, type: 'function', function: { name, arguments: '' } }] })
    for (const part of fragments(args, size)) yield chunk({ tool_calls: [{ index, function: { arguments: part } }] })
  }
  yield { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }
}

const fragments = (text: string, size: number): string[] => {
  const characters = [...text]
  return Array.from({ length: Math.ceil(characters.length / size) }, (_, index) =>
    characters.slice(index * size, (index + 1) * size).join(''),
  )
}

function played(given: readonly Piece[], size: number) {
  const stream = createOutputStream((prefix, index) => `${prefix}_${index}`)
  const events = [...chunksOf(given, size)].flatMap(chunk => stream.add(chunk))
  return { events: [...events, ...stream.end()], assembled: stream.assembled() }
}

const dataOf = (event: NewEvent): Record<string, any> => event.data

/** Deltas of one part of one item, one after another, as one. */
function joined(events: readonly NewEvent[]): NewEvent[] {
  const all: NewEvent[] = []
  for (const event of events) {
    const last = all.at(-1)
    const [before, data] = [last === undefined ? {} : dataOf(last), dataOf(event)]
    const goesOn = data['delta'] !== undefined && last?.type === event.type && before['item_id'] === data['item_id']
    if (goesOn) all[all.length - 1] = { ...event, data: { ...data, delta: `${before['delta']}${data['delta']}` } }
    else all.push(event)
  }
  return all
}

describe('the events of a response', () => {
  test('tell the same however the chunks are cut', () => {
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 30 }), (given, size) => {
        const whole = played(inOrder(given), 1_000)
        const cut = played(inOrder(given), size)
        expect(cut.assembled).toEqual(whole.assembled)
        expect(joined(cut.events)).toEqual(joined(whole.events))
      }),
    )
  })

  test('open each item once and close it before the next, with all that its deltas said', () => {
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 5 }), (given, size) => {
        const { events, assembled } = played(inOrder(given), size)
        const told = assembled.output.map((item, index) => {
          const own = events.filter(event => dataOf(event)['output_index'] === index)
          const said = own.map(event => dataOf(event)['delta'] ?? '').join('')
          const done = own.find(event => /(output_text|arguments)\.done$/.test(event.type))
          return { types: own.map(event => event.type), said, done: done && dataOf(done), last: own.at(-1), item }
        })
        for (const { types, said, done, last, item } of told) {
          expect(types.filter(type => type === 'response.output_item.added')).toHaveLength(1)
          expect(types[0]).toBe('response.output_item.added')
          expect(done?.['text'] ?? done?.['arguments']).toBe(said)
          expect(last).toEqual({ type: 'response.output_item.done', data: expect.objectContaining({ item }) })
        }
        const places = events.map(event => dataOf(event)['output_index'] as number)
        expect(places).toEqual(places.toSorted((a, b) => a - b))
      }),
    )
  })
})
