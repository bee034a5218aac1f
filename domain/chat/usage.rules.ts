import type { TokenUsage } from '../calls/call.rules.ts'
import type { Usage } from './chat.schema.ts'

type Fields = Record<string, unknown>

/** What a database integer holds. */
const LARGEST_COUNT = 2 ** 31 - 1

const tokens = (value: unknown): number | undefined =>
  typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= LARGEST_COUNT ? value : undefined
const fields = (value: unknown): Fields => (typeof value === 'object' && value !== null ? (value as Fields) : {})

/** The token figures of an embeddings call, which has no output. */
export function parseEmbeddingsUsage(value: unknown): TokenUsage | undefined {
  const input = tokens(fields(value)['prompt_tokens'])
  return input === undefined ? undefined : { input, output: 0 }
}

/** The token figures of a chat's `usage`; undefined where it is missing or not whole. */
export function parseUsage(value: unknown): TokenUsage | undefined {
  const usage = fields(value)
  const input = tokens(usage['prompt_tokens'])
  const output = tokens(usage['completion_tokens'])
  if (input === undefined || output === undefined) return undefined
  return {
    input,
    output,
    cached: tokens(fields(usage['prompt_tokens_details'])['cached_tokens']),
    reasoning: tokens(fields(usage['completion_tokens_details'])['reasoning_tokens']),
  }
}

export const usageView = ({ input, output, cached, reasoning }: TokenUsage): Usage => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
  ...(cached === undefined ? {} : { prompt_tokens_details: { cached_tokens: cached } }),
  ...(reasoning === undefined ? {} : { completion_tokens_details: { reasoning_tokens: reasoning } }),
})
