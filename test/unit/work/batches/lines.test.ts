import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Readable } from 'node:stream'
import { linesOf } from '../../../../domain/work/batches/lines.ts'

interface Read {
  number: number
  offset: number
  text: string
}

async function read(parts: (string | Buffer)[], limitBytes = 1_000): Promise<Read[]> {
  const lines: Read[] = []
  const body = Readable.from(parts.map(part => Buffer.from(part)))
  for await (const { number, offset, bytes } of linesOf(body, limitBytes)) {
    lines.push({ number, offset, text: bytes.toString('latin1') })
  }
  return lines
}

describe('lines', () => {
  test.each<[string, string, [number, number, string][]]>([
    ['of nothing', '', []],
    ['of one line', 'abc', [[1, 0, 'abc']]],
    ['with an end of line at the end', 'abc\n', [[1, 0, 'abc']]],
    [
      'of two lines',
      'ab\ncd',
      [
        [1, 0, 'ab'],
        [2, 3, 'cd'],
      ],
    ],
    [
      'with CRLF',
      'ab\r\ncd\r\n',
      [
        [1, 0, 'ab'],
        [2, 4, 'cd'],
      ],
    ],
    [
      'with blank lines, which count',
      '\n\nab\n \t\r\ncd\n\n',
      [
        [3, 2, 'ab'],
        [5, 9, 'cd'],
      ],
    ],
    [
      'with white space around them',
      '  ab\t\n\tcd ',
      [
        [1, 2, 'ab'],
        [2, 7, 'cd'],
      ],
    ],
    ['of white space', ' \n\t\r\n ', []],
    ['with a lone carriage return inside', 'a\rb\n', [[1, 0, 'a\rb']]],
    [
      'with other white space, which is content',
      '\v\n\f',
      [
        [1, 0, '\v'],
        [2, 2, '\f'],
      ],
    ],
  ])('%s', async (_what, text, lines) => {
    expect(await read([text])).toEqual(lines.map(([number, offset, line]) => ({ number, offset, text: line })))
  })

  const bom = Buffer.from([0xef, 0xbb, 0xbf])
  test.each<[string, Buffer[], Read[]]>([
    ['before the first line is taken off', [bom, Buffer.from('{}\n')], [{ number: 1, offset: 3, text: '{}' }]],
    ['and white space are taken off', [bom, Buffer.from('  {}')], [{ number: 1, offset: 5, text: '{}' }]],
    ['alone is a blank line', [bom, Buffer.from('\nx')], [{ number: 2, offset: 4, text: 'x' }]],
    [
      'before a later line is content',
      [Buffer.from('x\n'), bom],
      [
        { number: 1, offset: 0, text: 'x' },
        { number: 2, offset: 2, text: 'ï»¿' },
      ],
    ],
  ])('a byte order mark %s', async (_what, parts, lines) => {
    expect(await read(parts)).toEqual(lines)
  })
})

describe('a line over the limit', () => {
  test.each<[string, string[], string[]]>([
    ['of just the limit is whole', ['12345\nx'], ['12345', 'x']],
    ['with its carriage return beside the limit is whole', ['12345\r\nx'], ['12345', 'x']],
    ['is cut a byte after it', ['123456789\nx'], ['123456', 'x']],
    ['is cut at the same byte however it comes', ['12', '345', '678', '9\nx'], ['123456', 'x']],
    ['is never mistaken for its beginning', ['{}      ', '   garbage\nx'], ['{}    ', 'x']],
    ['is never mistaken for a blank one', ['         ', '  {}\nx'], ['      ', 'x']],
    ['at the end of the file', ['x\n1234567'], ['x', '123456']],
  ])('%s', async (_what, parts, lines) => {
    expect((await read(parts, 5)).map(({ text }) => text)).toEqual(lines)
  })

  test('moves the offset of the next one by all of it', async () => {
    expect((await read(['123456789\nx'], 5)).at(-1)).toEqual({ number: 2, offset: 10, text: 'x' })
  })
})

/** The same by reading everything at once. */
function naive(all: Buffer, limitBytes: number): Read[] {
  const lines: Read[] = []
  let offset = 0
  all
    .toString('latin1')
    .split('\n')
    .forEach((whole, index) => {
      const isLong = whole.length > limitBytes + 1
      const marked = index === 0 && !isLong && whole.startsWith('ï»¿') ? whole.slice(3) : whole
      const text = isLong ? whole.slice(0, limitBytes + 1) : marked.replace(/^[ \t\r]+|[ \t\r]+$/g, '')
      const start = isLong || text === '' ? offset : offset + whole.length - marked.replace(/^[ \t\r]+/, '').length
      if (text !== '') lines.push({ number: index + 1, offset: start, text })
      offset += whole.length + 1
    })
  return lines
}

test('any bytes in any pieces give the lines and offsets of the whole', async () => {
  const byte = fc.oneof(
    { weight: 3, arbitrary: fc.constantFrom(0x0a, 0x0d, 0x20, 0x09, 0xef, 0xbb, 0xbf, 0x7b) },
    { weight: 2, arbitrary: fc.integer({ min: 0, max: 255 }) },
  )
  const content = fc.oneof(
    fc.array(byte, { maxLength: 120 }),
    fc.array(byte, { maxLength: 40 }).map(rest => [0xef, 0xbb, 0xbf, ...rest]),
  )
  await fc.assert(
    fc.asyncProperty(
      content,
      fc.array(fc.nat(120), { maxLength: 12 }),
      fc.integer({ min: 1, max: 60 }),
      async (bytes, cuts, limit) => {
        const all = Buffer.from(bytes)
        const ends = [...new Set(cuts.map(cut => Math.min(cut, all.length)))].sort((a, b) => a - b)
        const parts = [0, ...ends].map((start, index) => all.subarray(start, ends[index] ?? all.length))
        const lines = await read(parts, limit)
        expect(lines).toEqual(naive(all, limit))
        for (const { offset, text } of lines) expect(all.toString('latin1', offset, offset + text.length)).toBe(text)
      },
    ),
    { numRuns: 500 },
  )
})

test('an endless line comes cut', async () => {
  const part = Buffer.alloc(64 * 1024, 'x')
  const endless = Readable.from(
    (function* () {
      for (let count = 0; count < 2_000; count += 1) yield part
    })(),
  )
  const lines = linesOf(endless, 1_000)
  const { value } = await lines.next()
  expect(value?.bytes).toHaveLength(1_001)
})
