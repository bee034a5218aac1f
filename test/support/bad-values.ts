type Schema = Record<string, unknown>

/** Path segments that are no id of anything, as they stand in the request line. */
export const BAD_IDS: Record<string, string> = {
  'a path': '../../etc/passwd',
  'an encoded path': '..%2F..%2Fetc%2Fpasswd',
  'a path, all encoded': '%2e%2e%2f%2e%2e%2fetc%2fpasswd',
  'a doubly encoded path': '%252e%252e%252f',
  dots: '..',
  'a NUL': '%00',
  'a NUL at its end': `file_${'0'.repeat(32)}%00`,
  'a line break': 'a%0d%0ab',
  'a quote': "'%20OR%201=1--",
  'a pattern': '%25',
  'a backslash': '..%5C..%5Cx',
  'half a surrogate': '%ED%A0%80',
  'bad UTF-8': '%FF%FE',
  'a lone percent sign': '%',
  'half an escape': '%4',
  emoji: '%F0%9F%98%80',
  '5,000 characters': 'x'.repeat(5_000),
  'a prototype': '__proto__',
  'capital letters': `FILE_${'A'.repeat(32)}`,
}

/** Query texts that a parameter of the type refuses. */
export function badTexts({ type }: Schema): string[] {
  if (type === 'integer') {
    return ['', 'abc', '-2', '1.5', 'NaN', 'Infinity', '-Infinity', '1e3', '0x10', '1,000', '%EF%BC%91', '9'.repeat(20)]
  }
  if (type === 'boolean') return ['', 'maybe', '2', '-1', 'null', 'yes']
  return []
}

const OF_TYPE: Record<string, unknown[]> = {
  string: [5, true, [], {}],
  integer: ['5', true, [], {}, 1.5],
  number: ['5', true, [], {}],
  boolean: ['true', 1, [], {}],
  array: ['x', 5, {}, true],
  object: ['x', 5, [], true],
}

/** Values that a field of the schema refuses; none where it takes anything. */
export function badValues(schema: Schema): unknown[] {
  const enumerated = Array.isArray(schema['enum']) ? ['no such value', '', 5, [], {}] : []
  const types = [schema['type'] ?? []].flat() as string[]
  const ofType = types.length === 1 ? [...(OF_TYPE[types[0] ?? ''] ?? []), ...outside(schema, types[0])] : []
  return [...new Set([...enumerated, ...ofType])]
}

/** Integers that are too small or too large; one without a minimum counts something. */
function outside({ minimum = 1, maximum }: Schema, type: string | undefined): number[] {
  if (type !== 'integer') return []
  return [Number(minimum) - 1, Number(minimum) - 2, ...(maximum === undefined ? [] : [Number(maximum) + 1])]
}

/** Nested so many levels deep. */
export const nested = (levels: number): string => `${'['.repeat(levels)}${']'.repeat(levels)}`
