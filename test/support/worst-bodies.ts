/** JSON values of about so many bytes, in shapes that are dear to somebody. */
export type Shape = (bytes: number) => Buffer

/** Of a pattern without its start and end. */
const filled = (start: string, pattern: string, end: string): Shape => {
  return bytes => Buffer.concat([Buffer.from(start), Buffer.alloc(wholeOf(bytes, pattern), pattern), Buffer.from(end)])
}
const wholeOf = (bytes: number, pattern: string): number => {
  const length = Buffer.byteLength(pattern)
  return Math.floor(bytes / length) * length
}

/** Values that hold too much, whatever they say. */
export const COMPLEX: [string, Shape][] = [
  [
    'millions of fields',
    bytes => Buffer.from(`{${Array.from({ length: bytes / 16 }, (_, at) => `"k${at}":1`).join()}}`),
  ],
  ['empty arrays', filled('[', '[],', '[]]')],
  ['objects in an array', filled('[', '{"a":1},', '{}]')],
  ['levels', bytes => Buffer.concat([Buffer.alloc(bytes / 2, '['), Buffer.alloc(bytes / 2, ']')])],
  ['numbers', filled('[', '0.1234567,', '1]')],
]

/** Values that are as large as may be. */
export const LONG: [string, Shape][] = [
  ['words', filled('"', 'some words ', '"')],
  ['one long word', filled('"', 'a', '"')],
  ['line breaks and quotes', filled('"', '\\n\\"', '"')],
  ['escapes', filled('"', '\\u0041', '"')],
  ['letters of two bytes', filled('"', 'é', '"')],
]

/** A picture's data URL, as JSON. */
export const PICTURE: Shape = filled('"data:image/png;base64,', 'AAAA', '"')

/** A body with a value of this many bytes in place of `"HERE"`. */
export function bodyWith(body: object, value: Buffer): Buffer {
  const [before, after] = JSON.stringify(body).split('"HERE"')
  if (before === undefined || after === undefined) throw new Error('nothing says HERE in the body')
  return Buffer.concat([Buffer.from(before), value, Buffer.from(after)])
}
