import { expect, test } from '@jest/globals'
import { setTimeout as delay } from 'node:timers/promises'
import { isId, newId, newRequestId, uuidOf } from '../../../domain/core/ids.ts'

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

test('ids are new each time, of their prefix, and hold a UUIDv7', () => {
  const ids = Array.from({ length: 1_000 }, () => newId('batch'))
  expect(new Set(ids).size).toBe(1_000)
  for (const id of ids) {
    expect(isId('batch', id)).toBe(true)
    expect(uuidOf(id)).toMatch(UUID_V7)
  }
})

test('ids of a kind sort by their time', async () => {
  const earlier = newId('file')
  await delay(2)
  expect(newId('file') > earlier).toBe(true)
})

test('ids of one moment sort by the order they were made in', () => {
  const ids = Array.from({ length: 5_000 }, () => newRequestId())
  expect([...ids].sort()).toEqual(ids)
})

test('a request id is a bare UUIDv7', () => {
  expect(newRequestId()).toMatch(UUID_V7)
})

const hex = '0198c0ffee00700080000000deadbeef'
test.each<[string, boolean]>([
  [`file_${hex}`, true],
  [`batch_${hex}`, false],
  [hex, false],
  [`file_${hex}0`, false],
  [`file_${hex.slice(1)}`, false],
  [`file_${hex.toUpperCase()}`, false],
  [`file_../../${hex.slice(6)}`, false],
  [`file_${hex}\n`, false],
  [` file_${hex}`, false],
  [`file_${hex.slice(1)}\0`, false],
  ['', false],
])('whether %j is the id of a file', (text, is) => {
  expect(isId('file', text)).toBe(is)
})

test.each(['', 'file_', 'file_xyz', hex.slice(1), `file_${hex}_`])('%j has no UUID', text => {
  expect(() => uuidOf(text)).toThrow(TypeError)
})

test('the UUID of an id', () => {
  expect(uuidOf(`user_${hex}`)).toBe('0198c0ff-ee00-7000-8000-0000deadbeef')
})
