import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Type, type TSchema } from 'typebox'
import Schema from 'typebox/schema'
import { Value } from 'typebox/value'
import { instanceOf } from '../../sandbox/json-instance.ts'
import { SchemaError } from '../../sandbox/json-schema.ts'
import { stringMatching } from '../../sandbox/pattern.ts'
import { readingOf } from '../../sandbox/reading.ts'

const reading = readingOf('The API is down and every call fails with an error, this is urgent!')
const FORMATS = [
  'date-time',
  'date',
  'time',
  'duration',
  'email',
  'uuid',
  'uri',
  'ipv4',
  'ipv6',
  'hostname',
  'json-pointer',
]
const PATTERNS = [
  '^[A-Z]{3}-\\d{4}$',
  '^(red|green)(/[a-z]+)*$',
  '^\\+?[1-9]\\d{1,14}$',
  '^#[0-9a-f]{6}$',
  '^\\S+@\\S+\\.\\w{2,}$',
]

const range = fc
  .tuple(fc.integer({ min: 0, max: 30 }), fc.integer({ min: 0, max: 30 }))
  .map(([from, more]) => ({ from, to: from + more }))
const leaf: fc.Arbitrary<TSchema> = fc.oneof(
  fc.constantFrom(Type.Boolean(), Type.Null(), Type.String(), Type.Integer(), Type.Number()),
  fc.constantFrom(...FORMATS).map(format => Type.String({ format })),
  fc.constantFrom(...PATTERNS).map(pattern => Type.String({ pattern })),
  range.map(({ from, to }) => Type.String({ minLength: from, maxLength: to })),
  range.map(({ from, to }) => Type.Integer({ minimum: from - 15, maximum: to - 15 })),
  range.map(({ from, to }) => Type.Number({ exclusiveMinimum: from, exclusiveMaximum: to + 0.5 })),
  fc.integer({ min: 1, max: 9 }).map(multipleOf => Type.Integer({ multipleOf, minimum: 10 })),
  fc.array(fc.oneof(fc.string(), fc.integer()), { minLength: 1 }).map(values => ({ enum: values })),
  fc.json().map(json => ({ const: JSON.parse(json) as unknown })),
)
const { schema: anySchema } = fc.letrec<{ schema: TSchema }>(tie => ({
  schema: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc
      .dictionary(fc.stringMatching(/^[a-z]{1,6}$/), fc.tuple(tie('schema'), fc.boolean()), { maxKeys: 4 })
      .map(entries => {
        const properties = Object.entries(entries).map(([name, [schema, isOptional]]) => [
          name,
          isOptional ? Type.Optional(schema) : schema,
        ])
        return Type.Object(Object.fromEntries(properties) as Record<string, TSchema>, { additionalProperties: false })
      }),
    fc.tuple(tie('schema'), fc.integer({ min: 0, max: 3 })).map(([item, minItems]) => Type.Array(item, { minItems })),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map(items => Type.Tuple(items)),
    fc.array(tie('schema'), { minLength: 1, maxLength: 3 }).map(items => Type.Union(items)),
  ),
}))

describe('instanceOf', () => {
  test('fits any schema of the family', () => {
    fc.assert(
      fc.property(anySchema, schema => {
        const value = JSON.parse(JSON.stringify(instanceOf(schema, reading))) as unknown
        expect([...Value.Errors(schema, value)]).toEqual([])
      }),
      { numRuns: 1000 },
    )
  })

  test.each<[string, object]>([
    [
      'a tree',
      {
        $ref: '#/$defs/node',
        $defs: {
          node: {
            type: 'object',
            properties: { value: { type: 'integer' }, children: { type: 'array', items: { $ref: '#/$defs/node' } } },
            required: ['value', 'children'],
            additionalProperties: false,
          },
        },
      },
    ],
    [
      'a linked list, strict',
      {
        type: 'object',
        properties: { next: { anyOf: [{ $ref: '#' }, { type: 'null' }] }, id: { type: 'string', format: 'uuid' } },
        required: ['next', 'id'],
        additionalProperties: false,
      },
    ],
    [
      'a nullable recursion',
      {
        type: ['object', 'null'],
        properties: { left: { $ref: '#' }, right: { $ref: '#' } },
        required: ['left', 'right'],
      },
    ],
    [
      'older definitions',
      {
        type: 'object',
        properties: { a: { $ref: '#/definitions/a' } },
        required: ['a'],
        definitions: { a: { type: 'number', minimum: 3 } },
      },
    ],
    [
      'allOf',
      {
        allOf: [
          { type: 'object', properties: { a: { type: 'number', minimum: 5 } }, required: ['a'] },
          { properties: { a: { maximum: 6 }, b: { const: null } }, required: ['b'] },
        ],
      },
    ],
    ['oneOf with an overlap', { oneOf: [{ type: 'number' }, { type: 'integer' }, { type: 'string', minLength: 3 }] }],
    [
      'a discriminated union',
      {
        type: 'object',
        properties: {
          shape: {
            oneOf: [
              {
                type: 'object',
                properties: { kind: { const: 'circle' }, radius: { type: 'number' } },
                required: ['kind', 'radius'],
              },
              {
                type: 'object',
                properties: { kind: { const: 'square' }, side: { type: 'number' } },
                required: ['kind', 'side'],
              },
            ],
          },
        },
        required: ['shape'],
      },
    ],
    ['anyOf whose first branch fits nothing', { anyOf: [false, { type: 'string', enum: [] }, { type: 'boolean' }] }],
    [
      'types left out',
      {
        properties: { n: { minimum: 0, maximum: 0 }, s: { minLength: 2 }, l: { items: { type: 'null' }, minItems: 2 } },
        required: ['n', 's', 'l'],
      },
    ],
    ['unique items', { type: 'array', items: { enum: ['a', 'b', 'c'] }, minItems: 3, uniqueItems: true }],
    [
      'unique objects',
      {
        type: 'array',
        items: { type: 'object', properties: { id: { type: 'integer' } }, required: ['id'] },
        minItems: 5,
        uniqueItems: true,
      },
    ],
    ['contains', { type: 'array', contains: { const: 'x' } }],
    ['keys', { type: 'object', additionalProperties: { type: 'integer' }, minProperties: 3 }],
    ['a prefix', { type: 'array', prefixItems: [{ type: 'string' }, { type: 'integer' }], items: false, minItems: 2 }],
    ['a long pattern', { type: 'string', pattern: '^[a-f]+$', minLength: 40, maxLength: 40 }],
    ['required without properties', { type: 'object', required: ['a', '__proto__'] }],
    ['anything', {}],
  ])('%s', (_, schema) => {
    const value = JSON.parse(JSON.stringify(instanceOf(schema, reading))) as unknown
    expect({ value, fits: Schema.Check(schema, value) }).toEqual({ value, fits: true })
    expect(JSON.stringify(value).length).toBeLessThan(5000)
  })

  test('is the same for the same schema and text', () => {
    const schema = { type: 'object', properties: { a: { enum: ['x', 'y', 'z'] }, b: { type: 'boolean' } } }
    expect(instanceOf(schema, reading)).toEqual(instanceOf(schema, reading))
  })

  test('enums prefer what the text was read as', () => {
    const schema = {
      type: 'object',
      properties: { area: { enum: ['billing', 'bug'] }, urgency: { enum: ['low', 'high'] } },
    }
    expect(instanceOf(schema, reading)).toEqual({ area: 'bug', urgency: 'high' })
  })

  test.each<[string, unknown]>([
    ['no schema', 7],
    ['a wrong keyword', { type: 'object', properties: 7 }],
    ['an unknown type', { type: 'wat' }],
    ['a circle of references', { $ref: '#/$defs/a', $defs: { a: { $ref: '#/$defs/a' } } }],
    ['doubling references', doubling(40)],
    ['a reference outside', { $ref: 'https://example.com/schema.json' }],
    ['a contradiction', { allOf: [{ type: 'string' }, { type: 'number' }] }],
    ['too few different items', { type: 'array', items: { const: 1 }, minItems: 2, uniqueItems: true }],
  ])('%s is refused', (_, schema) => {
    expect(() => instanceOf(schema, reading)).toThrow(SchemaError)
  })
})

/** Each definition holds the next one twice: 2^n parts. */
function doubling(n: number): object {
  const next = (i: number) => ({ $ref: `#/$defs/d${i + 1}` })
  const definitions = Array.from({ length: n }, (_, i) => [`d${i}`, { allOf: [next(i), next(i)] }])
  return { ...next(-1), $defs: { ...(Object.fromEntries(definitions) as object), [`d${n}`]: {} } }
}

describe('stringMatching', () => {
  test.each([
    ...PATTERNS,
    '^(?:a|b)?c{2,3}$',
    '^(?<year>\\d{4})-[01]\\d$',
    '^[^a-z0-9]+$',
    '^[\\w.\\]-]{3}\\.$',
    '^\\p{Lu}\\x41\\u{1F642}$',
    'plain',
    '',
  ])('%s', pattern => {
    for (const repeats of [1, 5]) expect(stringMatching(pattern, repeats)).toMatch(new RegExp(pattern, 'u'))
  })

  test('gives up on look-around and back references', () => {
    expect(stringMatching('^(?=a)a$', 1)).toBeUndefined()
    expect(stringMatching('^(a)\\1$', 1)).toBeUndefined()
    expect(stringMatching('((a{1000}){1000}){1000}', 1)).toBeUndefined()
  })
})
