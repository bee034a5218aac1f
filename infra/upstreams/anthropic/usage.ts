import { isFields, type Fields } from '../json.ts'

/** Anthropic's figures as they stand so far: those of a later event replace those before, but for nulls. */
export function laterUsage(before: Fields, usage: unknown): Fields {
  const told = Object.entries(isFields(usage) ? usage : {}).filter(([, value]) => value !== null)
  return { ...before, ...Object.fromEntries(told) }
}

const count = (value: unknown): number => (typeof value === 'number' ? value : 0)

/**
 * The figures as OpenAI tells them: its input is all input, which Anthropic splits in three (what was read from the
 * cache, written to it, and neither). Undefined where they are not whole.
 */
export function usageOf(usage: unknown): Fields | undefined {
  const { input_tokens: input, output_tokens: output, ...more } = isFields(usage) ? usage : {}
  if (typeof input !== 'number' || typeof output !== 'number') return undefined
  const read = count(more['cache_read_input_tokens'])
  const written = count(more['cache_creation_input_tokens'])
  const details = more['output_tokens_details']
  const thought = isFields(details) ? details['thinking_tokens'] : undefined
  return {
    prompt_tokens: input + read + written,
    completion_tokens: output,
    total_tokens: input + read + written + output,
    prompt_tokens_details: { cached_tokens: read, cache_creation_input_tokens: written },
    ...(typeof thought === 'number' ? { completion_tokens_details: { reasoning_tokens: thought } } : {}),
  }
}
