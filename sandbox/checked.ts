import type { Static, TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { invalidRequest } from './openai-error.ts'

/** A checker of request bodies. Its errors: 400 in OpenAI's shape, naming the field as `messages.0.role`. */
export function checkerOf<T extends TSchema>(schema: T): (body: unknown) => Static<T> {
  const validator = Compile(schema)
  return body => {
    if (validator.Check(body)) return body
    const [error] = validator.Errors(body)
    const missing = error?.keyword === 'required' ? error.params.requiredProperties[0] : undefined
    const path = [...(error?.instancePath.split('/').slice(1) ?? []), ...(missing === undefined ? [] : [missing])]
    const param = path.join('.')
    throw invalidRequest(
      param,
      missing === undefined
        ? `Invalid value for '${param}': it ${error?.message}.`
        : `Missing required parameter: '${param}'.`,
    )
  }
}
