import { isFields, type Fields } from '../json.ts'
import { tokens } from '../normal/usage.ts'

/**
 * Anthropic's figures as they stand so far: those of a later event replace those before, but for nulls, and for zeros
 * after a real figure, which servers in its format send for what they have told already.
 */
export function laterUsage(before: Fields, usage: unknown): Fields {
  const stated = Object.entries(isFields(usage) ? usage : {}).filter(
    ([name, value]) => value !== null && (value !== 0 || before[name] === undefined),
  )
  return { ...before, ...Object.fromEntries(stated) }
}

/**
 * The figures as OpenAI tells them: its input is all input, which Anthropic splits in three (what was read from the
 * cache, written to it, and neither). Undefined where they are not whole.
 */
export function usageOf(usage: unknown): Fields | undefined {
  const { input_tokens: asked, output_tokens: stated, ...more } = isFields(usage) ? usage : {}
  const [input, output] = [tokens(asked), tokens(stated)]
  if (input === undefined || output === undefined) return undefined
  const read = tokens(more['cache_read_input_tokens']) ?? 0
  const written = tokens(more['cache_creation_input_tokens']) ?? 0
  const details = more['output_tokens_details']
  const thought = isFields(details) ? tokens(details['thinking_tokens']) : undefined
  return {
    prompt_tokens: input + read + written,
    completion_tokens: output,
    total_tokens: input + read + written + output,
    prompt_tokens_details: { cached_tokens: read, cache_creation_input_tokens: written },
    ...(thought === undefined ? {} : { completion_tokens_details: { reasoning_tokens: thought } }),
  }
}
