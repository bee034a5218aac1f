import { createHash } from 'node:crypto'
import { SchemaError, type Keywords, type Position } from './json-schema.ts'
import { stringMatching } from './pattern.ts'
import type { Reading } from './reading.ts'

const MAX_LENGTH = 100_000
const MAX_REPEATS = 500
const PROSE_NAME = /summary|title|text|description|reason|message|answer|reply|response|content|explanation|subject/i

/** A string for its format or pattern, else words; within its length. */
export function stringFor(node: Keywords, position: Position, reading: Reading): string {
  const { minLength = 0, maxLength = Infinity } = node
  if (minLength > MAX_LENGTH) throw new SchemaError(`a minLength of ${minLength} is too long`)
  const formatted =
    node.format === undefined ? undefined : FORMATS[node.format]?.(position.index, seedOf(position, reading))
  if (formatted !== undefined) return formatted
  const matching = node.pattern === undefined ? undefined : patterned(node.pattern, minLength, maxLength)
  return matching ?? plainText(position, reading, minLength, maxLength)
}

/** Repeats what may be repeated until the text is long enough. Lengths are in characters (code points). */
function patterned(pattern: string, minLength: number, maxLength: number): string | undefined {
  requireExpression(pattern)
  for (let repeats = 1; repeats <= Math.min(Math.max(1, minLength), MAX_REPEATS); repeats++) {
    const text = stringMatching(pattern, repeats)
    if (text === undefined) return undefined
    if (text.length >= minLength) return text.length <= maxLength ? text : stringMatching(pattern, 0)
  }
  return stringMatching(pattern, minLength)
}

function requireExpression(pattern: string): void {
  try {
    new RegExp(pattern, 'u')
  } catch {
    throw new SchemaError(`the pattern ${JSON.stringify(pattern)} is not a regular expression`)
  }
}

/** What tells one item of an array from the next comes last and is never cut off. */
function plainText({ name, index }: Position, reading: Reading, minLength: number, maxLength: number): string {
  const text = PROSE_NAME.test(name) ? `Sandbox: ${reading.digest}` : `sandbox ${name}`
  const nth = index === 0 ? '' : String(index + 1).slice(0, maxLength)
  const room = Math.max(0, maxLength - nth.length)
  return (
    Array.from(text)
      .slice(0, room)
      .join('')
      .padEnd(minLength - nth.length, '.') + nth
  )
}

function seedOf(position: Position, reading: Reading): string {
  return createHash('sha256').update(`${reading.text}\n${position.name}\n${position.index}`).digest('hex')
}

/** Formats of JSON Schema 2020-12, section 7.3, and `url` as some write it. */
const FORMATS: Readonly<Record<string, (index: number, seed: string) => string>> = {
  'date-time': index => `${dayOf(index)}T09:30:00Z`,
  date: dayOf,
  time: () => '09:30:00Z',
  duration: index => `P${index + 1}D`,
  email: index => `sandbox${index + 1}@example.com`,
  'idn-email': index => `sandbox${index + 1}@example.com`,
  hostname: index => `sandbox${index + 1}.example.com`,
  'idn-hostname': index => `sandbox${index + 1}.example.com`,
  ipv4: index => `192.0.2.${(index % 254) + 1}`,
  ipv6: index => `2001:db8::${(index % 9999) + 1}`,
  uri: index => `https://example.com/sandbox/${index + 1}`,
  url: index => `https://example.com/sandbox/${index + 1}`,
  iri: index => `https://example.com/sandbox/${index + 1}`,
  'uri-reference': index => `/sandbox/${index + 1}`,
  'iri-reference': index => `/sandbox/${index + 1}`,
  'uri-template': index => `/sandbox/{id}/${index + 1}`,
  'json-pointer': index => `/sandbox/${index + 1}`,
  'relative-json-pointer': index => `${index + 1}`,
  regex: index => `^sandbox${index + 1}$`,
  uuid: (_, seed) =>
    `${seed.slice(0, 8)}-${seed.slice(8, 12)}-4${seed.slice(13, 16)}-8${seed.slice(17, 20)}-${seed.slice(20, 32)}`,
}

function dayOf(index: number): string {
  return new Date(Date.UTC(2026, 0, 15 + index)).toISOString().slice(0, 10)
}
