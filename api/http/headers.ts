import type { IncomingHttpHeaders } from 'node:http'
import type { TObject } from 'typebox'
import { requireValid } from '../../domain/core/validation.rules.ts'
import { readTexts } from './takes/texts.ts'

type ReadHeaders = (given: IncomingHttpHeaders) => Record<string, unknown>

const NONE: Record<string, unknown> = {}

/** What reads the declared headers, under the names they are declared by. Errors: 400 naming the header. */
export function headerReader(schema: TObject | undefined): ReadHeaders | undefined {
  if (schema === undefined) return undefined
  const names = Object.keys(schema.properties).map(declared => ({ declared, sent: declared.toLowerCase() }))
  const isRequired = (schema.required ?? []).length > 0
  return given => {
    const sent = names.filter(name => given[name.sent] !== undefined)
    // None of them, as in most requests: nothing to check.
    if (sent.length === 0 && !isRequired) return NONE
    const values = readTexts(schema, Object.fromEntries(sent.map(name => [name.declared, given[name.sent]])))
    requireValid(schema, values)
    return values
  }
}
