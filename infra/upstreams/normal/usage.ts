import { isFields, type Fields } from '../json.ts'
import type { UpstreamUsage } from '../chunk.ts'

/** Ten times the largest window there is: a figure above it is a mistake, and no sum of a group's overflows. */
const MOST_TOKENS = 100_000_000

/** A figure of tokens. A text of digits is one, a fraction is rounded; what is negative or beyond any model is none. */
export function tokens(value: unknown): number | undefined {
  const figure = typeof value === 'string' && /^\d{1,12}$/.test(value) ? Number(value) : value
  if (typeof figure !== 'number' || !(figure >= 0) || figure > MOST_TOKENS) return undefined
  return Math.round(figure)
}

const fieldsOf = (value: unknown): Fields => (isFields(value) ? value : {})

const firstOf = (...values: unknown[]): number | undefined => {
  for (const value of values) {
    const figure = tokens(value)
    if (figure !== undefined) return figure
  }
  return undefined
}

/** The figures of a `usage`; undefined where they say nothing of the input, or of the output. */
export function usageOf(value: unknown): UpstreamUsage | undefined {
  const usage = fieldsOf(value)
  const total = tokens(usage['total_tokens'])
  const asked = firstOf(usage['prompt_tokens'], usage['input_tokens'])
  const written = firstOf(usage['completion_tokens'], usage['output_tokens'])
  const input = asked ?? rest(total, written)
  const reported = written ?? rest(total, asked)
  if (input === undefined || reported === undefined) return undefined
  const reasoning = reasoningOf(usage)
  const output = outputOf(input, reported, total, reasoning)
  return { input, output, ...cacheFigures(usage, input), ...(reasoning !== undefined && { reasoning }) }
}

const rest = (total: number | undefined, part: number | undefined): number | undefined =>
  total === undefined || part === undefined || part > total ? undefined : total - part

const reasoningOf = (usage: Fields): number | undefined =>
  firstOf(
    fieldsOf(usage['completion_tokens_details'])['reasoning_tokens'],
    fieldsOf(usage['output_tokens_details'])['reasoning_tokens'],
    usage['reasoning_tokens'],
  )

/**
 * What a total has beyond its two parts was written too: Gemini and Grok leave thinking out of the completion. So it is
 * where no total is given and there was more thinking than completion.
 */
function outputOf(input: number, reported: number, total: number | undefined, reasoning: number | undefined): number {
  if (total !== undefined && total > input + reported) return total - input
  return reasoning !== undefined && reasoning > reported ? reported + reasoning : reported
}

/** What was read from a cache and written to it, under the names that providers have for it; never more than the input. */
function cacheFigures(usage: Fields, input: number): Pick<UpstreamUsage, 'cached' | 'cacheWrites'> {
  const details = { ...fieldsOf(usage['input_tokens_details']), ...fieldsOf(usage['prompt_tokens_details']) }
  const read = firstOf(
    details['cached_tokens'],
    usage['prompt_cache_hit_tokens'],
    usage['cached_tokens'],
    usage['cache_read_input_tokens'],
  )
  const written = firstOf(
    details['cache_creation_input_tokens'],
    details['cache_write_tokens'],
    usage['cache_creation_input_tokens'],
  )
  const cached = read === undefined ? undefined : Math.min(read, input)
  return {
    ...(cached !== undefined && { cached }),
    ...(written !== undefined && { cacheWrites: Math.min(written, input - (cached ?? 0)) }),
  }
}

/** The figures as they stand after later ones: each later figure counts, but for a zero after a real one. */
export function laterUsage(before: UpstreamUsage | undefined, later: UpstreamUsage): UpstreamUsage {
  if (before === undefined) return later
  const named = <Name extends 'cached' | 'cacheWrites' | 'reasoning'>(name: Name) => {
    const figure = later[name] || before[name] || later[name]
    return figure === undefined ? {} : { [name]: figure }
  }
  return {
    input: later.input || before.input,
    output: later.output || before.output,
    ...named('cached'),
    ...named('cacheWrites'),
    ...named('reasoning'),
  }
}

/** The usage that a body holds, wherever: Moonshot puts a stream's into its choice, Groq under a name of its own. */
export function usageIn(body: Fields): UpstreamUsage | undefined {
  const [choice] = Array.isArray(body['choices']) ? (body['choices'] as unknown[]) : []
  for (const position of [body, choice, body['x_groq']]) {
    const usage = isFields(position) ? usageOf(position['usage']) : undefined
    if (usage !== undefined) return usage
  }
  return undefined
}

/** The figures of an embeddings call, which has no output. */
export function embeddingsUsageOf(value: unknown): UpstreamUsage | undefined {
  const usage = fieldsOf(value)
  const input = firstOf(usage['prompt_tokens'], usage['total_tokens'])
  return input === undefined ? undefined : { input, output: 0 }
}
