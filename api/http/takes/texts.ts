import type { TObject, TSchema } from 'typebox'
import { badRequest } from '../../../domain/core/errors.ts'

const INTEGER = /^-?\d{1,15}$/
const NUMBER = /^-?\d{1,15}(\.\d{1,15})?$/

/** Query or path texts as the values their schemas ask for. What does not convert stays text, and fails the check. */
export function readTexts(
  schema: TObject,
  given: Record<string, string | string[] | undefined>,
): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const [name, property] of Object.entries(schema.properties)) {
    const text = given[name] ?? given[`${name}[]`]
    if (text === undefined) continue
    if (isList(property)) {
      values[name] = [text].flat()
      continue
    }
    if (Array.isArray(text)) throw badRequest(`\`${name}\` was given more than once.`, name)
    if (text.includes('\0')) throw badRequest(`\`${name}\` holds a NUL character.`, name)
    values[name] = readText(property, text)
  }
  return values
}

const isList = (schema: TSchema & { type?: string }): boolean => schema.type === 'array'

function readText(schema: TSchema & { type?: string }, text: string): unknown {
  if (schema.type === 'integer' && INTEGER.test(text)) return Number(text)
  if (schema.type === 'number' && NUMBER.test(text)) return Number(text)
  if (schema.type === 'boolean' && (text === 'true' || text === '1')) return true
  if (schema.type === 'boolean' && (text === 'false' || text === '0')) return false
  return text
}
