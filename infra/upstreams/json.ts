import { UpstreamFailure } from './upstream.ts'

export type Fields = Record<string, unknown>

export const isFields = (value: unknown): value is Fields =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The object that an upstream's text is. Errors: UpstreamFailure. */
export function parseObject(text: string): Fields {
  try {
    const value: unknown = JSON.parse(text)
    if (isFields(value)) return value
  } catch {
    // Falls through: what is not JSON is no reply either.
  }
  throw new UpstreamFailure('unavailable', 'the reply is not a JSON object')
}
