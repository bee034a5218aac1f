export type Schema = Readonly<Record<string, unknown>>

const ANNOTATIONS = new Set(['$id', '$schema', 'title', 'summary', 'description', 'example', 'examples', 'deprecated'])

/**
 * A schema in one canonical spelling, as text: two schemas that accept the same values by different means
 * (`nullable` or a union with null, `const` or `enum`, `oneOf` or `anyOf`, other orders) give the same text.
 */
export function canonicalText(schema: unknown): string {
  return JSON.stringify(canonical(schema))
}

function canonical(schema: unknown): unknown {
  if (schema === true || schema === undefined) return {}
  if (!isObject(schema)) return schema
  if (schema['nullable'] === true) return canonical(withNullSpeltOut(schema))
  if (typeof schema['$ref'] === 'string') return { $ref: schema['$ref'].split('/').at(-1) }
  return inKeyOrder(withSettledType(withFlatUnion(keywordsOf(schema))))
}

/** OpenAPI 3.0's `nullable` as JSON Schema says it. */
function withNullSpeltOut({ nullable: _nullable, ...schema }: Schema): Schema {
  if (schema['type'] === undefined) return { anyOf: [schema, { type: 'null' }] }
  const type = [schema['type'], 'null'].flat()
  return Array.isArray(schema['enum']) ? { ...schema, type, enum: [...schema['enum'], null] } : { ...schema, type }
}

function keywordsOf(schema: Schema): Schema {
  const keywords = Object.entries(schema).filter(([key]) => !ANNOTATIONS.has(key) && !key.startsWith('x-'))
  return Object.fromEntries(keywords.flatMap(([key, value]) => canonicalKeyword(key, value)))
}

/** None where the keyword says nothing: it allows all that is allowed without it. */
function canonicalKeyword(key: string, value: unknown): [string, unknown][] {
  switch (key) {
    case 'properties':
      return [[key, mapValues(value as Schema, canonical)]]
    case 'required':
      return list(value).length === 0 ? [] : [[key, inOrder(list(value))]]
    case 'enum':
      return [[key, inOrder(list(value).map(literal))]]
    case 'const':
      return [['enum', [literal(value)]]]
    case 'type':
      return [[key, inOrder([value].flat())]]
    case 'oneOf':
    case 'anyOf':
      return [['anyOf', list(value).map(canonical)]]
    case 'allOf':
      return [[key, list(value).map(canonical)]]
    case 'items':
      return [[key, canonical(value)]]
    case 'additionalProperties':
      return canonicalText(value) === '{}' ? [] : [[key, canonical(value)]]
    default:
      return [[key, value]]
  }
}

/** A union of one is that one; a union with null is a type that includes null, where it can be said so. */
function withFlatUnion({ anyOf, ...rest }: Schema): Schema {
  if (anyOf === undefined) return rest
  const members = withOneEnum(list(anyOf).flatMap(membersOf))
  if (members.length === 1) return { ...rest, ...members[0] }
  const others = members.filter(member => !isNull(member))
  const nullable = others.length === 1 && others.length < members.length ? orNull(others[0]) : undefined
  if (nullable !== undefined) return { ...rest, ...nullable }
  return { ...rest, anyOf: inOrder(members.map(member => JSON.stringify(inKeyOrder(member)))) }
}

/** The schema with null among its types or values; undefined for one that has neither, a reference for one. */
function orNull(schema: Schema = {}): Schema | undefined {
  if (schema['type'] !== undefined) return { ...schema, type: inOrder([...list(schema['type']), 'null']) }
  if (schema['enum'] !== undefined) return { enum: [...list(schema['enum']), 'null'] }
  return undefined
}

function membersOf(member: unknown): Schema[] {
  const schema = member as Schema
  const isUnionAlone = Array.isArray(schema['anyOf']) && Object.keys(schema).length === 1
  // A canonical union holds its members as texts.
  return isUnionAlone ? list(schema['anyOf']).map(text => JSON.parse(String(text)) as Schema) : [schema]
}

/** `const`s side by side are an enum. */
function withOneEnum(members: Schema[]): Schema[] {
  const enums = members.filter(member => member['enum'] !== undefined)
  if (enums.length < 2) return members
  const values = enums.flatMap(member => list(member['enum']))
  return [{ enum: values }, ...members.filter(member => member['enum'] === undefined)]
}

/** The values of an enum say their type. */
function withSettledType({ type, ...rest }: Schema): Schema {
  if (rest['enum'] !== undefined) return { ...rest, enum: inOrder([...new Set(list(rest['enum']))]) }
  return type === undefined ? rest : { ...rest, type }
}

function isNull(schema: Schema): boolean {
  return JSON.stringify(schema['type']) === '["null"]'
}

function inKeyOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inKeyOrder)
  if (!isObject(value)) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(byKey)
      .map(([key, inner]) => [key, inKeyOrder(inner)]),
  )
}

function byKey([one]: [string, unknown], [other]: [string, unknown]): number {
  return one < other ? -1 : 1
}

function inOrder(texts: unknown[]): string[] {
  return texts.map(String).toSorted()
}

function mapValues(object: Schema, change: (value: unknown) => unknown): Schema {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]))
}

function literal(value: unknown): string {
  return JSON.stringify(value)
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : []
}

function isObject(value: unknown): value is Schema {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
