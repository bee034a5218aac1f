import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import { mostPriceOfCall, priceOfCall, ratesOf } from '../catalog/pricing.rules.ts'
import { badRequest } from '../../core/errors.ts'
import { nanosOfUsd } from '../../money/ledger/money.rules.ts'
import type { ChatCompletionRequest } from './chat.schema.ts'
import { lifeOf, type ChatSizes } from './chat-sizes.rules.ts'
import { estimatedInputTokens } from './input-bound.rules.ts'
import { choicesOf, statedLimitOf, UNSTATED_OUTPUT_TOKENS } from './output-limit.rules.ts'

/**
 * The request as its metadata bounds it: `max_output_tokens`, `max_cost_usd` (as so many output tokens), and
 * `reasoning_effort` where the request has none of its own.
 * Errors: 400 where the input alone may cost more than `max_cost_usd`.
 */
export function boundedRequest(
  request: ChatCompletionRequest,
  model: CatalogEntry,
  sizes?: ChatSizes,
): ChatCompletionRequest {
  const { metadata } = request
  if (metadata === undefined || metadata === null) return request
  const bounds = [metadata.max_output_tokens ?? undefined, affordableTokens(request, model, sizes)].filter(
    bound => bound !== undefined,
  )
  const effort = request.reasoning_effort ?? metadata.reasoning_effort ?? undefined
  return {
    ...request,
    ...(effort === undefined ? {} : { reasoning_effort: effort }),
    ...(bounds.length === 0 ? {} : outputBound(request, Math.min(...bounds))),
  }
}

/** Under the name that the request uses for it. */
function outputBound(request: ChatCompletionRequest, most: number): Partial<ChatCompletionRequest> {
  const isOldName = typeof request.max_tokens === 'number' && typeof request.max_completion_tokens !== 'number'
  return { [isOldName ? 'max_tokens' : 'max_completion_tokens']: Math.min(statedLimitOf(request) ?? most, most) }
}

/** The output tokens of each choice that `max_cost_usd` pays for besides the input, which is estimated on the high side. */
function affordableTokens(
  request: ChatCompletionRequest,
  model: CatalogEntry,
  sizes: ChatSizes | undefined,
): number | undefined {
  const maxCostUsd = request.metadata?.max_cost_usd ?? undefined
  if (maxCostUsd === undefined) return undefined
  const input = estimatedInputTokens(request, sizes?.asked)
  const rates = ratesOf(model.price, sizes === undefined ? lifeOf(request) : sizes.life)
  const left = nanosOfUsd(maxCostUsd) - mostPriceOfCall(rates, { input, output: 0 }, 'standard')
  const perMillion = priceOfCall(rates, { input: 0, output: 1_000_000 }, 'standard') * BigInt(choicesOf(request))
  if (perMillion === 0n && left >= 0n) return undefined
  const tokens = left <= 0n ? 0 : Number((left * 1_000_000n) / perMillion)
  if (tokens >= 1) return Math.min(tokens, statedLimitOf(request) ?? UNSTATED_OUTPUT_TOKENS, model.max_output_tokens)
  throw badRequest(
    `The input alone may cost as much as \`metadata.max_cost_usd\` (${maxCostUsd} USD) allows.`,
    'metadata.max_cost_usd',
  )
}
