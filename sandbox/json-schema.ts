import { Type, type Static } from 'typebox'
import { Compile } from 'typebox/compile'

/** A schema that is none, refers to nothing, or that no value of reasonable size fits. */
export class SchemaError extends Error {
  override name = 'SchemaError'
}

/** This branch leads nowhere; another alternative may. */
export class NothingFits extends SchemaError {
  override name = 'NothingFits'
}

const Bound = Type.Optional(Type.Number())
const Keywords = Type.Object({
  $ref: Type.Optional(Type.String()),
  type: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String(), { minItems: 1 })])),
  enum: Type.Optional(Type.Array(Type.Unknown())),
  const: Type.Optional(Type.Unknown()),
  allOf: Type.Optional(Type.Array(Type.Unknown())),
  anyOf: Type.Optional(Type.Array(Type.Unknown())),
  oneOf: Type.Optional(Type.Array(Type.Unknown())),
  properties: Type.Optional(Type.Record(Type.String(), Type.Unknown())),
  required: Type.Optional(Type.Array(Type.String())),
  additionalProperties: Type.Optional(Type.Unknown()),
  minProperties: Bound,
  maxProperties: Bound,
  items: Type.Optional(Type.Unknown()),
  additionalItems: Type.Optional(Type.Unknown()),
  prefixItems: Type.Optional(Type.Array(Type.Unknown())),
  contains: Type.Optional(Type.Unknown()),
  minItems: Bound,
  maxItems: Bound,
  uniqueItems: Type.Optional(Type.Boolean()),
  minimum: Bound,
  maximum: Bound,
  exclusiveMinimum: Bound,
  exclusiveMaximum: Bound,
  multipleOf: Type.Optional(Type.Number({ exclusiveMinimum: 0 })),
  minLength: Bound,
  maxLength: Bound,
  pattern: Type.Optional(Type.String()),
  format: Type.Optional(Type.String()),
})

/** The keywords of JSON Schema (2020-12) that the sandbox's generator knows; others are left alone. */
export type Keywords = Static<typeof Keywords>

/** Where a value goes: the property's name, how deep, and which item of an array. */
export interface Position {
  name: string
  depth: number
  index: number
}

const keywords = Compile(Keywords)
const MAX_PARTS = 1000

/** A schema with its `$ref` and `allOf` folded in. Errors: SchemaError, also where they are endless or too many. */
export function resolved(root: unknown, schema: unknown, budget = { parts: MAX_PARTS }): Keywords {
  budget.parts -= 1
  if (budget.parts < 0) throw new SchemaError('its references never end')
  const { $ref, allOf, ...rest } = parsed(schema)
  const parts = [...(allOf ?? []), ...($ref === undefined ? [] : [referenced(root, $ref)])]
  return parts.reduce<Keywords>((merged, part) => merge(merged, resolved(root, part, budget)), rest)
}

function parsed(schema: unknown): Keywords {
  if (schema === true) return {}
  if (schema === false) throw new NothingFits('nothing fits the schema false')
  if (Array.isArray(schema) || !keywords.Check(schema)) throw new SchemaError('a part of it is not a JSON schema')
  return withTuple(schema)
}

/** Before 2020-12 a tuple was `items` as a list, and the rest `additionalItems`. */
function withTuple(schema: Keywords): Keywords {
  if (!Array.isArray(schema.items)) return schema
  const { items, additionalItems = true, ...rest } = schema
  return { ...rest, prefixItems: items as unknown[], items: additionalItems }
}

/** JSON pointers into the same document (RFC 6901). */
function referenced(root: unknown, ref: string): unknown {
  if (!ref.startsWith('#')) throw new SchemaError(`${ref} is outside of it`)
  const names = ref.slice(1).split('/').slice(1)
  const target = names.reduce<unknown>((at, name) => childOf(at, decodeURIComponent(name)), root)
  if (target === undefined) throw new SchemaError(`${ref} is not in it`)
  return target
}

function childOf(parent: unknown, escapedName: string): unknown {
  const name = escapedName.replaceAll('~1', '/').replaceAll('~0', '~')
  return typeof parent === 'object' && parent !== null && Object.hasOwn(parent, name)
    ? (parent as Record<string, unknown>)[name]
    : undefined
}

/** What fits both, as far as keywords can say it: the tighter bounds, all properties, the types in common. */
export function merge(a: Keywords, b: Keywords): Keywords {
  return withoutUndefined({
    ...a,
    ...b,
    ...Object.fromEntries(LOWER_BOUNDS.map(name => [name, tighter(Math.max, a[name], b[name])])),
    ...Object.fromEntries(UPPER_BOUNDS.map(name => [name, tighter(Math.min, a[name], b[name])])),
    type: commonTypes(a.type, b.type),
    enum: a.enum && b.enum ? a.enum.filter(value => includesValue(b.enum ?? [], value)) : (b.enum ?? a.enum),
    properties: mergedProperties(a.properties, b.properties),
    required: a.required || b.required ? [...new Set([...(a.required ?? []), ...(b.required ?? [])])] : undefined,
    additionalProperties: a.additionalProperties === false ? false : (b.additionalProperties ?? a.additionalProperties),
    items: bothOf(a.items, b.items),
    anyOf: alternatives(a.anyOf, b.anyOf),
    oneOf: alternatives(a.oneOf, b.oneOf),
  })
}

const LOWER_BOUNDS = ['minimum', 'exclusiveMinimum', 'minLength', 'minItems', 'minProperties'] as const
const UPPER_BOUNDS = ['maximum', 'exclusiveMaximum', 'maxLength', 'maxItems', 'maxProperties'] as const

function tighter(choose: (a: number, b: number) => number, a?: number, b?: number): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : choose(a, b)
}

function commonTypes(a: Keywords['type'], b: Keywords['type']): Keywords['type'] {
  if (a === undefined || b === undefined) return a ?? b
  const [left, right] = [[a].flat(), [b].flat()]
  const fits = (type: string, other: string[]): boolean =>
    other.includes(type) || (type === 'integer' && other.includes('number'))
  const common = [...left.filter(type => fits(type, right)), ...right.filter(type => fits(type, left))]
  if (common.length === 0) throw new NothingFits(`no value is both ${left.join(' or ')} and ${right.join(' or ')}`)
  return [...new Set(common)]
}

function mergedProperties(a: Keywords['properties'], b: Keywords['properties']): Keywords['properties'] {
  if (!a || !b) return a ?? b
  const both = Object.entries(b).map(([name, schema]) => [name, bothOf(childOf(a, name), schema)])
  return { ...a, ...(Object.fromEntries(both) as Record<string, unknown>) }
}

function alternatives(a?: unknown[], b?: unknown[]): unknown[] | undefined {
  if (!a || !b) return a ?? b
  return a.flatMap(left => b.map(right => ({ allOf: [left, right] })))
}

function bothOf(a: unknown, b: unknown): unknown {
  return a === undefined || b === undefined ? (a ?? b) : { allOf: [a, b] }
}

function includesValue(values: readonly unknown[], value: unknown): boolean {
  return values.some(other => JSON.stringify(other) === JSON.stringify(value))
}

function withoutUndefined(merged: { [K in keyof Keywords]: Keywords[K] | undefined }): Keywords {
  return Object.fromEntries(Object.entries(merged).filter(([, value]) => value !== undefined)) as Keywords
}
