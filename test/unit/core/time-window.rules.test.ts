import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { parseTime, splitWindow } from '../../../domain/core/time-window.rules.ts'
import { refusalOf, thrownBy } from '../fixtures.ts'

const HOUR_MS = 3_600_000
const at = (time: string | null) => (time === null ? null : new Date(`2026-11-01T${time}Z`))
const shown = (date: Date | null | undefined) => date?.toISOString().slice(11, 16) ?? null

describe('a window', () => {
  test.each<[string, string | null, string | null, [string | null, string | null] | undefined, [string, string][]]>([
    ['of everything', null, null, [null, null], []],
    ['of whole hours', '10:00', '12:00', ['10:00', '12:00'], []],
    [
      'with edges',
      '10:10',
      '12:20',
      ['11:00', '12:00'],
      [
        ['10:10', '11:00'],
        ['12:00', '12:20'],
      ],
    ],
    ['with a first edge', '10:10', '12:00', ['11:00', '12:00'], [['10:10', '11:00']]],
    ['with a last edge', '10:00', '12:20', ['10:00', '12:00'], [['12:00', '12:20']]],
    [
      'over one full hour mark',
      '10:50',
      '11:10',
      ['11:00', '11:00'],
      [
        ['10:50', '11:00'],
        ['11:00', '11:10'],
      ],
    ],
    ['within an hour', '10:10', '10:20', undefined, [['10:10', '10:20']]],
    ['without an end', '10:10', null, ['11:00', null], [['10:10', '11:00']]],
    ['without a beginning', null, '10:10', [null, '10:00'], [['10:00', '10:10']]],
  ])('%s', (_what, from, to, hours, edges) => {
    const split = splitWindow(at(from), at(to))
    expect(split.hours && [shown(split.hours.from), shown(split.hours.to)]).toEqual(hours)
    expect(split.edges.map(edge => [shown(edge.from), shown(edge.to)])).toEqual(edges)
  })

  test('is covered once by its hours and edges, and nothing beside it', () => {
    const spanMs = 5 * HOUR_MS
    // Minutes and whole hours, since that is where edges vanish.
    const moment = fc.oneof(
      fc.nat(spanMs),
      fc.nat(5).map(hour => hour * HOUR_MS),
      fc.nat(300).map(minute => minute * 60_000),
    )
    const bound = fc.option(moment, { freq: 5 })
    fc.assert(
      fc.property(bound, bound, moment, (from, to, instant) => {
        const split = splitWindow(from === null ? null : new Date(from), to === null ? null : new Date(to))
        const isIn = (range: { from: Date | null; to: Date | null }) =>
          (range.from === null || instant >= range.from.getTime()) &&
          (range.to === null || instant < range.to.getTime())
        const covering = [...(split.hours === undefined ? [] : [split.hours]), ...split.edges].filter(isIn)
        const isInside = (from === null || instant >= from) && (to === null || instant < to)
        expect(covering).toHaveLength(isInside ? 1 : 0)
      }),
      { numRuns: 2_000 },
    )
  })

  test('has hours that begin and end with the hour', () => {
    fc.assert(
      fc.property(fc.nat(1e10), fc.nat(1e10), (from, to) => {
        const { hours } = splitWindow(new Date(from), new Date(to))
        for (const end of [hours?.from, hours?.to]) expect((end?.getTime() ?? 0) % HOUR_MS).toBe(0)
      }),
    )
  })
})

test.each<[string | undefined, string | null]>([
  [undefined, null],
  ['2026-11-01', '2026-11-01T00:00:00.000Z'],
  ['2026-11-01T10:00:00Z', '2026-11-01T10:00:00.000Z'],
  ['2026-11-01T10:00:00+02:00', '2026-11-01T08:00:00.000Z'],
  ['2026-11-01T10:00:00.123456789Z', '2026-11-01T10:00:00.123Z'],
])('the time %s is %s', (text, expected) => {
  expect(parseTime(text, 'from')?.toISOString() ?? null).toBe(expected)
})

test.each(['', 'yesterday', '2026-13-01', '2026-11-01T25:00:00Z', '2026-11-32', '2026-02-30', '2026-11-31T10:00:00Z'])(
  'the time %j is a 400',
  text => {
    expect(refusalOf(thrownBy(() => parseTime(text, 'to')))).toMatchObject({ status: 400, param: 'to' })
  },
)
