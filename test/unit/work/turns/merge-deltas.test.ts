import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { createAssembly } from '../../../../domain/inference/chat/assembly.rules.ts'
import type { NewEvent } from '../../../../domain/durable/event-log/event-log.rules.ts'
import { deltaEvent, mergeDeltas } from '../../../../domain/work/turns/turn.rules.ts'

const head = { id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: 'test/plain' }
const deltas = fc.array(
  fc.oneof(
    fc.record({ content: fc.string({ unit: 'grapheme', maxLength: 8 }) }),
    fc.record({ role: fc.constant('assistant'), content: fc.constant('') }),
    fc.record({ reasoning: fc.string({ maxLength: 8 }) }),
    fc.record({ tool_calls: fc.constant([{ index: 0, function: { name: 'f', arguments: '{' } }]) }),
  ),
  { maxLength: 20 },
)

function merged(events: readonly NewEvent[]): NewEvent[] {
  const all: NewEvent[] = []
  for (const event of events) {
    const last = all.at(-1)
    const both = last === undefined ? undefined : mergeDeltas(last, event)
    if (both === undefined) all.push(event)
    else all[all.length - 1] = both
  }
  return all
}

const assembled = (events: readonly NewEvent[]) => {
  const assembly = createAssembly()
  for (const event of events) assembly.add(event.data as { choices: object[] })
  return assembly.choices()
}

test('deltas that are grouped say what they said one by one, and the text in fewer events', () => {
  fc.assert(
    fc.property(deltas, given => {
      const chunks = [...given.map(delta => ({ delta, finish_reason: null })), { delta: {}, finish_reason: 'stop' }]
      const events = chunks.map(chunk => deltaEvent({ ...head, choices: [{ index: 0, ...chunk }] }))
      const grouped = merged(events)
      expect(assembled(grouped)).toEqual(assembled(events))
      const neighbours = grouped.slice(1).map((event, index) => mergeDeltas(grouped[index] as NewEvent, event))
      expect(neighbours.filter(both => both !== undefined)).toEqual([])
    }),
  )
})
