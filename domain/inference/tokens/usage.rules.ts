import type { TokenUsage } from './token-usage.rules.ts'
import type { Usage } from './usage.schema.ts'

/** Token figures as the API tells them. */
export const usageView = ({ input, output, cached, cacheWrites, reasoning }: TokenUsage): Usage => ({
  prompt_tokens: input,
  completion_tokens: output,
  total_tokens: input + output,
  ...(cached === undefined && cacheWrites === undefined
    ? {}
    : {
        prompt_tokens_details: {
          ...(cached !== undefined && { cached_tokens: cached }),
          ...(cacheWrites !== undefined && { cache_creation_input_tokens: cacheWrites }),
        },
      }),
  ...(reasoning === undefined ? {} : { completion_tokens_details: { reasoning_tokens: reasoning } }),
})
