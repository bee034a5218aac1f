import type { Counting } from './text-tokens.ts'

type Fields = Readonly<Record<string, unknown>>

const PROPERTIES_INIT = 3
const PER_PROPERTY = 3
const ENUM_INIT = -3
const PER_ENUM_ITEM = 3
const TOOLS_END = 12
const MAX_DEPTH = 16

/**
 * Tokens of tool definitions by the Cookbook's recipe for functions with flat parameters. Nested objects and array
 * items count by the same rule at their own level (an estimate: the recipe stops at the first); a tool that is no
 * function counts as its JSON.
 */
export function countToolTokens(tools: readonly object[], counting: Counting): number {
  if (tools.length === 0) return 0
  return tools.reduce((total, tool) => total + toolTokens(tool, counting), TOOLS_END)
}

function toolTokens(tool: object, counting: Counting): number {
  const definition = fieldsOf((tool as Fields).function)
  if (definition.name === undefined) return counting.count(JSON.stringify(tool))
  const functionInit = counting.encoding === 'o200k_base' ? 7 : 10
  const line = `${textOf(definition.name)}:${withoutFinalDot(definition.description)}`
  return functionInit + counting.count(line) + propertiesTokens(definition.parameters, counting, 0)
}

function propertiesTokens(schema: unknown, counting: Counting, depth: number): number {
  const properties = Object.entries(fieldsOf(fieldsOf(schema).properties))
  if (properties.length === 0 || depth > MAX_DEPTH) return 0
  return properties.reduce(
    (total, [name, property]) => total + propertyTokens(name, fieldsOf(property), counting, depth),
    PROPERTIES_INIT,
  )
}

function propertyTokens(name: string, property: Fields, counting: Counting, depth: number): number {
  const line = `${name}:${textOf(property.type)}:${withoutFinalDot(property.description)}`
  const nested = [property, property.items].map(schema => propertiesTokens(schema, counting, depth + 1))
  return PER_PROPERTY + counting.count(line) + enumTokens(property.enum, counting) + (nested[0] ?? 0) + (nested[1] ?? 0)
}

function enumTokens(items: unknown, counting: Counting): number {
  if (!Array.isArray(items)) return 0
  return items.reduce<number>((total, item) => total + PER_ENUM_ITEM + counting.count(textOf(item)), ENUM_INIT)
}

function withoutFinalDot(description: unknown): string {
  return textOf(description).replace(/\.$/, '')
}

function textOf(value: unknown): string {
  if (value === undefined) return ''
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function fieldsOf(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {}
}
