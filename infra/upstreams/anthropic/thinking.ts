import type { OutputConfig, ThinkingConfigParam } from '@anthropic-ai/sdk/resources/messages/messages'
import type { Fields } from '../json.ts'
import type { Turn } from './messages.ts'
import { traitsOf } from './models.ts'

/** The share of the output that each effort may think (https://openrouter.ai/docs/guides/best-practices/reasoning-tokens). */
const SHARES = new Map([
  ['minimal', 0.1],
  ['low', 0.2],
  ['medium', 0.5],
  ['high', 0.8],
  ['xhigh', 0.95],
])
const SMALLEST_BUDGET = 1024
const LARGEST_BUDGET = 32_000

export interface Thinking {
  thinking?: ThinkingConfigParam
  effort?: NonNullable<OutputConfig['effort']>
}

/**
 * How the model thinks, from `reasoning_effort`: by an effort where it takes one, else by a budget of tokens.
 * Source: https://platform.claude.com/docs/en/build-with-claude/adaptive-thinking
 */
export function thinkingOf(
  body: Fields,
  { maxTokens, turns, toolForced }: { maxTokens: number; turns: Turn[]; toolForced: boolean },
): Thinking {
  const effort = body['reasoning_effort']
  const traits = traitsOf(String(body['model']))
  const share = typeof effort === 'string' ? SHARES.get(effort) : undefined
  if (share === undefined) return effort === 'none' ? { thinking: { type: 'disabled' } } : {}
  if (traits.thinking === 'adaptive') {
    const thinking: Thinking = toolForced ? {} : { thinking: { type: 'adaptive', display: 'summarized' } }
    return { ...thinking, effort: effortOf(effort, traits.takesXhigh) }
  }
  const budget = Math.min(Math.max(Math.floor(maxTokens * share), SMALLEST_BUDGET), LARGEST_BUDGET)
  if (toolForced || budget >= maxTokens || hasLostThinking(turns)) return {}
  return { thinking: { type: 'enabled', budget_tokens: budget } }
}

function effortOf(effort: unknown, takesXhigh: boolean): NonNullable<Thinking['effort']> {
  if (effort === 'medium' || effort === 'high') return effort
  if (effort === 'xhigh') return takesXhigh ? 'xhigh' : 'high'
  return 'low'
}

/** With a budget, a turn that called tools must begin with its thinking: where the client lost it, there is none. */
function hasLostThinking(turns: Turn[]): boolean {
  if (turns.at(-1)?.content.some(({ type }) => type === 'tool_result') !== true) return false
  const type = turns.at(-2)?.content[0]?.type
  return type !== 'thinking' && type !== 'redacted_thinking'
}

export interface Sampling {
  temperature?: number
  top_p?: number
  top_k?: number
}

const LEAST_TOP_P_WITH_THINKING = 0.95

/**
 * What of the sampling the model takes: nothing where it is a newer one, `top_p` near 1 alone where it thinks, and one
 * of `temperature`, which ends at 1, and `top_p`.
 */
export function samplingOf(body: Fields, isThinking: boolean): Sampling {
  if (!traitsOf(String(body['model'])).takesSampling) return {}
  const { temperature, top_p: topP, top_k: topK } = body
  const isWhole = typeof topP === 'number'
  if (isThinking) return isWhole && topP >= LEAST_TOP_P_WITH_THINKING ? { top_p: topP } : {}
  const kept: Sampling = typeof topK === 'number' ? { top_k: topK } : {}
  if (typeof temperature === 'number') return { ...kept, temperature: Math.min(Math.max(temperature, 0), 1) }
  return isWhole ? { ...kept, top_p: topP } : kept
}
