import type { Encoding } from './encodings.ts'
import { countTextTokens } from './text-tokens.ts'

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
export function countToolTokens(tools: readonly object[], encoding: Encoding): number {
  if (tools.length === 0) return 0
  return tools.reduce((total, tool) => total + toolTokens(tool, encoding), TOOLS_END)
}

function toolTokens(tool: object, encoding: Encoding): number {
  const definition = fieldsOf((tool as Fields).function)
  if (definition.name === undefined) return countTextTokens(JSON.stringify(tool), encoding)
  const functionInit = encoding === 'o200k_base' ? 7 : 10
  const line = `${textOf(definition.name)}:${withoutFinalDot(definition.description)}`
  return functionInit + countTextTokens(line, encoding) + propertiesTokens(definition.parameters, encoding, 0)
}

function propertiesTokens(schema: unknown, encoding: Encoding, depth: number): number {
  const properties = Object.entries(fieldsOf(fieldsOf(schema).properties))
  if (properties.length === 0 || depth > MAX_DEPTH) return 0
  return properties.reduce(
    (total, [name, property]) => total + propertyTokens(name, fieldsOf(property), encoding, depth),
    PROPERTIES_INIT,
  )
}

function propertyTokens(name: string, property: Fields, encoding: Encoding, depth: number): number {
  const line = `${name}:${textOf(property.type)}:${withoutFinalDot(property.description)}`
  const nested = [property, property.items].map(schema => propertiesTokens(schema, encoding, depth + 1))
  return (
    PER_PROPERTY +
    countTextTokens(line, encoding) +
    enumTokens(property.enum, encoding) +
    (nested[0] ?? 0) +
    (nested[1] ?? 0)
  )
}

function enumTokens(items: unknown, encoding: Encoding): number {
  if (!Array.isArray(items)) return 0
  return items.reduce<number>(
    (total, item) => total + PER_ENUM_ITEM + countTextTokens(textOf(item), encoding),
    ENUM_INIT,
  )
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
