import type { CatalogEntry } from '../catalog/catalog.schema.ts'
import type { ChatCompletionRequest } from './chat.schema.ts'
import { thinkingBudgetOf } from './passed-fields.rules.ts'

/** Given to a call that names no limit: more than models write unasked, less than their maximum of 128,000 and up. */
export const UNSTATED_OUTPUT_TOKENS = 16_384
/** A limit that nobody stated leaves the input its place in the window, but is never less. */
const LEAST_UNSTATED_TOKENS = 1_024

type Limits = Pick<ChatCompletionRequest, 'max_tokens' | 'max_completion_tokens'>

/** The limit that the request states: the smaller one, where both names are used. */
export function statedLimitOf({ max_tokens: older, max_completion_tokens: newer }: Limits): number | undefined {
  const stated = [newer, older].filter(limit => typeof limit === 'number')
  return stated.length === 0 ? undefined : Math.min(...stated)
}

export interface LimitContext {
  /** For a request that states no limit, besides what it wants to be thought. */
  unstated: number
  /** About what the input has. Some servers refuse a limit that does not fit into the window behind it. */
  inputTokens: number
}

/** The output tokens of one choice that an upstream is told, by whichever of its names it knows. */
export function outputLimitOf(
  request: ChatCompletionRequest,
  model: CatalogEntry,
  { unstated, inputTokens }: LimitContext,
): number {
  const stated = statedLimitOf(request)
  if (stated !== undefined) return Math.min(stated, model.max_output_tokens)
  const wanted = unstated + (thinkingBudgetOf(request)?.tokens ?? 0)
  const room = Math.max(LEAST_UNSTATED_TOKENS, model.max_input_tokens - inputTokens)
  return Math.min(wanted, room, model.max_output_tokens)
}

export const choicesOf = (request: ChatCompletionRequest): number =>
  typeof request['n'] === 'number' ? request['n'] : 1
