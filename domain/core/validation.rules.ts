import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import type { TLocalizedValidationError } from 'typebox/error'
import { badRequest } from './errors.ts'

const MOST_ERRORS = 1
/** The caller's own words may be in it. */
const LONGEST_PARAM = 200
const validators = new WeakMap<TSchema, Validator>()

function validatorOf(schema: TSchema): Validator {
  const known = validators.get(schema)
  if (known !== undefined) return known
  const made = Compile(schema)
  validators.set(schema, made)
  return made
}

/** Compiles ahead, so that the first request does not pay for it. */
export const prepareValidator = (schema: TSchema | undefined): void => void (schema && validatorOf(schema))

/** Errors: 400 naming the first field at fault. */
export function requireValid(schema: TSchema, value: unknown): void {
  if (validatorOf(schema).Check(value)) return
  const { schema: part, value: at, path } = firstFault({ schema, value, path: [] })
  const error = validatorOf(part).Errors(at).slice(0, MOST_ERRORS)[0]
  if (error === undefined) throw badRequest('The request is not valid.')
  throw describe(error, path)
}

interface Location {
  schema: TSchema
  value: unknown
  path: string[]
}

/**
 * The innermost place that fails, found by checks alone: describing errors walks all of a value, however large,
 * and checking ends at the first fault.
 */
function firstFault(location: Location): Location {
  const inner = partsOf(location).find(part => !validatorOf(part.schema).Check(part.value))
  return inner === undefined ? location : firstFault(inner)
}

interface Keywords {
  properties?: Record<string, TSchema>
  items?: TSchema
  anyOf?: TSchema[]
}

function partsOf({ schema, value, path }: Location): Location[] {
  const { properties, items, anyOf } = schema as Keywords
  if (Array.isArray(value)) {
    const of = items ?? anyOf?.map(one => (one as Keywords).items).find(one => one !== undefined)
    const index = of === undefined ? -1 : value.findIndex(item => !validatorOf(of).Check(item))
    return of === undefined || index === -1 ? [] : [{ schema: of, value: value[index], path: [...path, String(index)] }]
  }
  if (typeof value !== 'object' || value === null || properties === undefined) return []
  const fields = value as Record<string, unknown>
  return Object.entries(properties)
    .filter(([name]) => Object.hasOwn(fields, name))
    .map(([name, property]) => ({ schema: property, value: fields[name], path: [...path, name] }))
}

function describe(error: TLocalizedValidationError, location: string[]): Error {
  const path = [...location, ...error.instancePath.split('/').slice(1).map(unescapePointer)]
  if (error.keyword === 'required') {
    const missing = [...path, error.params.requiredProperties[0] ?? ''].join('.')
    return badRequest(`\`${missing}\` is required.`, missing)
  }
  const param = path.join('.').slice(0, LONGEST_PARAM)
  // No value is right where the schema knows no such field.
  if (error.keyword === 'boolean') return badRequest(`\`${param}\` is not known here.`, param)
  if (error.keyword === 'enum') {
    return badRequest(`\`${param}\` must be one of ${error.params.allowedValues.map(String).join(', ')}.`, param)
  }
  if (param === '') return badRequest(`The request body ${error.message}.`)
  return badRequest(`\`${param}\` ${error.message}.`, param)
}

const unescapePointer = (segment: string): string => segment.replaceAll('~1', '/').replaceAll('~0', '~')
