import { isFields, type Fields } from '../json.ts'

/** Of a schema's keywords those that Anthropic's structured outputs know and that need no change. */
const KEPT = new Set(['$ref', 'type', 'enum', 'const', 'title', 'required', 'description'])
/** Keywords whose schemas are changed in turn. */
const NAMED = new Set(['properties', '$defs', 'definitions'])
const LISTED = new Map([
  ['anyOf', 'anyOf'],
  ['oneOf', 'anyOf'],
  ['allOf', 'allOf'],
])
const FORMATS = new Set('date-time time date duration email hostname uri ipv4 ipv6 uuid'.split(' '))

/**
 * A JSON schema as Anthropic takes it: its objects are closed, and what it cannot enforce is told in the description.
 * Source: https://platform.claude.com/docs/en/build-with-claude/structured-outputs#json-schema-limitations
 */
export function outputSchema(schema: Fields): Fields {
  const known: Fields = {}
  const described: Fields = {}
  for (const [name, value] of Object.entries(schema)) {
    const target = isEnforced(name, value) ? known : described
    if (name !== '$schema' && name !== 'additionalProperties') target[LISTED.get(name) ?? name] = changed(name, value)
  }
  if (known['type'] === 'object' || 'properties' in known) known['additionalProperties'] = false
  return Object.keys(described).length === 0
    ? known
    : { ...known, description: withConstraints(known['description'], described) }
}

function isEnforced(name: string, value: unknown): boolean {
  if (name === 'format') return typeof value === 'string' && FORMATS.has(value)
  if (name === 'minItems') return value === 0 || value === 1
  return KEPT.has(name) || NAMED.has(name) || LISTED.has(name) || name === 'items'
}

function changed(name: string, value: unknown): unknown {
  if (name === 'items' && isFields(value)) return outputSchema(value)
  if (LISTED.has(name) && Array.isArray(value)) return value.map(each)
  if (!NAMED.has(name) || !isFields(value)) return value
  return Object.fromEntries(Object.entries(value).map(([key, schema]) => [key, each(schema)]))
}

const each = (schema: unknown): unknown => (isFields(schema) ? outputSchema(schema) : schema)

const withConstraints = (description: unknown, described: Fields): string =>
  [...(typeof description === 'string' ? [description] : []), JSON.stringify(described)].join('\n\n')
