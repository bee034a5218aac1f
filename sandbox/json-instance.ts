import Schema from 'typebox/schema'
import type { Reading } from './reading.ts'
import { merge, NothingFits, resolved, SchemaError, type Keywords, type Position } from './json-schema.ts'
import { numberFor } from './json-number.ts'
import { stringFor } from './json-string.ts'
import { hashOf } from './hash.ts'

/** Optional parts are left out below this depth, so that recursive schemas give small values. */
const GENEROUS_DEPTH = 4
const MAX_DEPTH = 40
const MAX_VALUES = 20_000

interface Scope {
  root: unknown
  reading: Reading
  valuesLeft: number
}

/**
 * A value that fits a JSON schema, the same for the same schema and reading, chosen to look like an answer: enums
 * prefer what the user's text was read as. Known keywords: see `Keywords`; `pattern` and `oneOf` as far as they go.
 * Errors: SchemaError.
 */
export function instanceOf(schema: unknown, reading: Reading): unknown {
  const scope: Scope = { root: schema, reading, valuesLeft: MAX_VALUES }
  return valueFor(scope, schema, { name: 'answer', depth: 0, index: 0 })
}

function valueFor(scope: Scope, schema: unknown, position: Position): unknown {
  scope.valuesLeft -= 1
  if (scope.valuesLeft < 0) throw new SchemaError(`its smallest value has more than ${MAX_VALUES} parts`)
  if (position.depth > MAX_DEPTH) throw new NothingFits('its values never end')
  const node = resolved(scope.root, schema)
  if (node.const !== undefined) return node.const
  if (node.enum) return enumValue(scope, node, position)
  if (node.anyOf ?? node.oneOf) return alternativeFor(scope, node, position)
  return isNullDeepDown(node, position) ? null : typedValue(scope, node, position)
}

function typedValue(scope: Scope, node: Keywords, position: Position): unknown {
  switch (typeOf(node)) {
    case 'object':
      return objectFor(scope, node, position)
    case 'array':
      return arrayFor(scope, node, position)
    case 'integer':
    case 'number':
      return numberFor(node, position)
    case 'boolean':
      return (hashOf(scope.reading.text, position.name) + position.index) % 2 === 0
    case 'null':
      return null
    case 'string':
      return stringFor(node, position, scope.reading)
    default:
      throw new SchemaError(`${JSON.stringify(node.type)} is not a type`)
  }
}

function typeOf(node: Keywords): string {
  if (node.type !== undefined) return [node.type].flat().find(type => type !== 'null') ?? 'null'
  const implied = IMPLIED_TYPES.find(([, names]) => names.some(name => node[name] !== undefined))
  return implied?.[0] ?? 'string'
}

const IMPLIED_TYPES: readonly [type: string, by: (keyof Keywords)[]][] = [
  ['object', ['properties', 'required', 'additionalProperties', 'minProperties']],
  ['array', ['items', 'prefixItems', 'minItems', 'contains', 'uniqueItems']],
  ['number', ['minimum', 'maximum', 'exclusiveMinimum', 'exclusiveMaximum', 'multipleOf']],
]

/** Objects and arrays nest; a nullable one deep down is left null, so that recursive schemas end. */
function isNullDeepDown(node: Keywords, position: Position): boolean {
  return position.depth >= GENEROUS_DEPTH && nests(node) && [node.type].flat().includes('null')
}

function nests(node: Keywords): boolean {
  return ['object', 'array'].includes(typeOf(node))
}

function enumValue(scope: Scope, node: Keywords, position: Position): unknown {
  const options = (node.enum ?? []).filter(
    option => node.type === undefined || Schema.Check({ type: node.type }, option),
  )
  if (options.length === 0) throw new NothingFits('one of its enums is empty')
  const read = options.find(option => typeof option === 'string' && scope.reading.labels.has(option.toLowerCase()))
  if (read !== undefined && position.index === 0) return read
  return options[(hashOf(scope.reading.text, position.name) + position.index) % options.length]
}

/**
 * The first branch that gives a value, for `oneOf` one that no other branch takes too if there is such; deep down
 * simple branches come first, so that recursion ends.
 */
function alternativeFor(scope: Scope, { anyOf, oneOf, ...rest }: Keywords, position: Position): unknown {
  const branches = anyOf ?? oneOf ?? []
  const others = anyOf && oneOf ? { ...rest, oneOf } : rest
  let second: unknown
  for (const branch of inOrder(scope, branches, position)) {
    const value = valueOrNothing(() => valueFor(scope, merge(others, resolved(scope.root, branch)), position))
    if (value !== undefined && (anyOf !== undefined || fitsExactlyOne(scope, branches, value))) return value
    second ??= value
  }
  if (second === undefined) throw new NothingFits('nothing fits its anyOf or oneOf')
  return second
}

function inOrder(scope: Scope, branches: readonly unknown[], position: Position): unknown[] {
  const known = branches.filter(branch => valueOrNothing(() => resolved(scope.root, branch)) !== undefined)
  if (position.depth < GENEROUS_DEPTH) return known
  const weight = (branch: unknown): number => (nests(resolved(scope.root, branch)) ? 1 : 0)
  return known.toSorted((a, b) => weight(a) - weight(b))
}

function fitsExactlyOne(scope: Scope, branches: readonly unknown[], value: unknown): boolean {
  const { $defs = {}, definitions = {} } = scope.root as { $defs?: object; definitions?: object }
  const fitting = branches.filter(branch => Schema.Check({ $defs, definitions, allOf: [branch as object] }, value))
  return fitting.length === 1
}

function objectFor(scope: Scope, node: Keywords, position: Position): Record<string, unknown> {
  const properties = node.properties ?? {}
  const required = new Set(node.required)
  const names = [...new Set([...Object.keys(properties), ...required])]
  const entries: [string, unknown][] = []
  for (const name of names) {
    const schema = Object.hasOwn(properties, name) ? properties[name] : (node.additionalProperties ?? true)
    const make = (): unknown => valueFor(scope, schema, { name, depth: position.depth + 1, index: position.index })
    const isRoom = position.depth < GENEROUS_DEPTH && entries.length < (node.maxProperties ?? Infinity)
    const value = required.has(name) ? make() : isRoom ? valueOrNothing(make) : undefined
    if (value !== undefined) entries.push([name, value])
  }
  return Object.fromEntries([...entries, ...extraEntries(scope, node, position, entries.length)])
}

function extraEntries(scope: Scope, node: Keywords, position: Position, have: number): [string, unknown][] {
  const wanted = (node.minProperties ?? 0) - have
  if (wanted <= 0) return []
  return Array.from({ length: Math.min(wanted, MAX_VALUES + 1) }, (_, i) => {
    const name = `key_${i + 1}`
    return [name, valueFor(scope, node.additionalProperties ?? true, { name, depth: position.depth + 1, index: i })]
  })
}

function arrayFor(scope: Scope, node: Keywords, position: Position): unknown[] {
  const least = Math.max(node.minItems ?? 0, node.contains === undefined ? 0 : 1)
  const usual = position.depth < GENEROUS_DEPTH ? Math.max(1, node.prefixItems?.length ?? 0) : 0
  const wanted = Math.min(Math.max(least, usual), node.maxItems ?? Infinity)
  const items: unknown[] = []
  const seen = new Set<string>()
  for (let attempt = 0; items.length < wanted && attempt < wanted * 4 + 16; attempt++) {
    const schema = itemSchema(node, items.length)
    const make = (): unknown => valueFor(scope, schema, { ...position, depth: position.depth + 1, index: attempt })
    const item = items.length < least ? make() : valueOrNothing(make)
    if (item === undefined) break
    const isNew = !seen.has(JSON.stringify(item))
    if (isNew || !node.uniqueItems) items.push(item)
    seen.add(JSON.stringify(item))
  }
  if (items.length < least) throw new NothingFits('there are not enough different items')
  return items
}

function itemSchema(node: Keywords, index: number): unknown {
  const own = node.prefixItems?.[index] ?? node.items ?? true
  return index === 0 && node.contains !== undefined ? { allOf: [own, node.contains] } : own
}

function valueOrNothing<T>(make: () => T): T | undefined {
  try {
    return make()
  } catch (error) {
    if (error instanceof NothingFits) return undefined
    throw error
  }
}
