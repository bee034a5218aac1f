import { expect, test } from '@jest/globals'
import { beginWatch, watch } from '../../../../domain/durable/processes/watch.rules.ts'

const LOST_AFTER_MS = 30_000
const process = (id: string, beat: string) => ({ id, beat_at: beat })

/** What the looks found silent, each 5 s after the one before unless told. */
function looks(...rows: { at?: number; words: Record<string, string> }[]): string[][] {
  const state = beginWatch(LOST_AFTER_MS)
  let nowMs = 0
  return rows.map(({ at, words }) => {
    nowMs = at ?? nowMs + 5_000
    return watch(
      state,
      Object.entries(words).map(([id, beat]) => process(id, beat)),
      nowMs,
    ).map(({ id }) => id)
  })
}

test('one whose word stays the same through all looks of the time is silent, one that speaks is not', () => {
  const words = Array.from({ length: 8 }, (_, look) => ({ words: { dead: 'then', alive: String(look) } }))
  expect(looks(...words)).toEqual([[], [], [], [], [], [], ['dead'], ['dead']])
})

test('a time in which nobody looked makes nobody silent', () => {
  const words = { p: 'then' }
  expect(looks({ at: 0, words }, { at: 60_000, words }, { at: 65_000, words })).toEqual([[], [], []])
})

test('speaking once begins the time anew', () => {
  const before = Array.from({ length: 6 }, () => ({ words: { p: 'a' } }))
  const after = Array.from({ length: 7 }, () => ({ words: { p: 'b' } }))
  expect(looks(...before, ...after).flat()).toEqual(['p'])
})

test('one that is gone is forgotten', () => {
  const state = beginWatch(LOST_AFTER_MS)
  watch(state, [process('p', 'a')], 0)
  watch(state, [], 5_000)
  expect(state.seen.size).toBe(0)
})
