import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import type { TLocalizedValidationError } from 'typebox/error'
import { badRequest } from './errors.ts'

const MOST_ERRORS = 1
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
  const validator = validatorOf(schema)
  if (validator.Check(value)) return
  const error = validator.Errors(value).slice(0, MOST_ERRORS)[0]
  if (error === undefined) throw badRequest('The request is not valid.')
  throw describe(error)
}

function describe(error: TLocalizedValidationError): Error {
  const path = error.instancePath.split('/').slice(1).map(unescapePointer)
  if (error.keyword === 'required') {
    const missing = [...path, error.params.requiredProperties[0] ?? ''].join('.')
    return badRequest(`\`${missing}\` is required.`, missing)
  }
  const param = path.join('.')
  if (error.keyword === 'enum') {
    return badRequest(`\`${param}\` must be one of ${error.params.allowedValues.map(String).join(', ')}.`, param)
  }
  if (param === '') return badRequest(`The request body ${error.message}.`)
  return badRequest(`\`${param}\` ${error.message}.`, param)
}

const unescapePointer = (segment: string): string => segment.replaceAll('~1', '/').replaceAll('~0', '~')
