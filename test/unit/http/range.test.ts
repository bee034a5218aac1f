import { expect, test } from '@jest/globals'
import { parseRange } from '../../../api/http/gives/stored-bytes.ts'
import { RangeNotSatisfiable } from '../../../domain/core/errors.ts'
import { refusalOf, thrownBy } from '../fixtures.ts'

test.each<[string | undefined, number, [number, number] | undefined]>([
  ['bytes=0-0', 10, [0, 0]],
  ['bytes=0-9', 10, [0, 9]],
  ['bytes=3-5', 10, [3, 5]],
  ['bytes=3-', 10, [3, 9]],
  ['bytes=9-', 10, [9, 9]],
  ['bytes=3-99', 10, [3, 9]],
  ['bytes=3-999999999999999', 10, [3, 9]],
  ['bytes=-4', 10, [6, 9]],
  ['bytes=-99', 10, [0, 9]],
  [' bytes=1-2 ', 10, [1, 2]],
  [undefined, 10, undefined],
  ['', 10, undefined],
  ['bytes=', 10, undefined],
  ['bytes=-', 10, undefined],
  ['bytes=5-3', 10, undefined],
  ['bytes=0-1,3-4', 10, undefined],
  ['items=0-1', 10, undefined],
  ['bytes=a-b', 10, undefined],
  ['bytes=1.5-2', 10, undefined],
  ['bytes=--1', 10, undefined],
  ['bytes=0x1-2', 10, undefined],
  ['bytes=9999999999999999-', 10, undefined],
])('%j of %s bytes', (header, size, range) => {
  expect(parseRange(header, size)).toEqual(range && { start: range[0], end: range[1] })
})

test.each<[string, number]>([
  ['bytes=10-', 10],
  ['bytes=10-12', 10],
  ['bytes=-0', 10],
  ['bytes=0-', 0],
  ['bytes=0-0', 0],
  ['bytes=-5', 0],
])('%j lies outside of %s bytes', (header, size) => {
  const error = thrownBy(() => parseRange(header, size))
  expect(error).toBeInstanceOf(RangeNotSatisfiable)
  expect(refusalOf(error)).toEqual({ status: 416, code: 'bad_request', type: 'range_not_satisfiable', param: 'Range' })
})
